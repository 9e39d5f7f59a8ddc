// SPDX-License-Identifier: Apache-2.0
// A published JSON Schema as a third-party validator understands it.
#pragma once

#include <string>

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

namespace facsim::test {

class PublishedSchema {
 public:
  explicit PublishedSchema(const nlohmann::json& json) {
    valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(json), schema_);
  }
  bool accepts(const nlohmann::json& value) {
    return valijson::Validator().validate(schema_, valijson::adapters::NlohmannJsonAdapter(value),
                                          nullptr);
  }
  /// The findings about `value`, a line each; empty if it is accepted.
  std::string findings(const nlohmann::json& value) {
    valijson::ValidationResults results;
    valijson::Validator().validate(schema_, valijson::adapters::NlohmannJsonAdapter(value),
                                   &results);
    std::string text;
    valijson::ValidationResults::Error error;
    while (results.popError(error)) {
      for (const std::string& part : error.context) text += part;
      text += ": " + error.description + "\n";
    }
    return text;
  }

 private:
  valijson::Schema schema_;
};

}  // namespace facsim::test
