// SPDX-License-Identifier: Apache-2.0
// A published JSON Schema as a third-party validator understands it.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

namespace facsim::test {

class PublishedSchema {
 public:
  /// `folder`: of the files that it refers to by name.
  explicit PublishedSchema(const nlohmann::json& json, std::filesystem::path folder = {})
      : folder_(std::move(folder)) {
    valijson::SchemaParser().populateSchema(
        valijson::adapters::NlohmannJsonAdapter(json), schema_,
        [this](const std::string& name) { return other(name); }, [](const nlohmann::json*) {});
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
  const nlohmann::json* other(const std::string& name) {
    std::ifstream file(folder_ / name);
    return file ? &(others_[name] = nlohmann::json::parse(file)) : nullptr;
  }

  std::filesystem::path folder_;
  std::map<std::string, nlohmann::json> others_;
  valijson::Schema schema_;
};

}  // namespace facsim::test
