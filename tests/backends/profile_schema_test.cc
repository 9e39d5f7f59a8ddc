// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "backends/io/npy.h"
#include "backends/profile/field_table.h"
#include "backends/profile/profile.h"

namespace facsim::backends {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const fs::path kSource = FACSIM_SOURCE_DIR;

/// The shipped schema as a third-party validator understands it.
class SchemaValidator {
 public:
  SchemaValidator() {
    const Json json = Json::parse(profile_schema_json());
    valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(json), schema_);
  }
  bool accepts(const fs::path& file) {
    const Json json = Json::parse(read_file(file), nullptr, true, /*ignore_comments=*/true);
    return valijson::Validator().validate(schema_, valijson::adapters::NlohmannJsonAdapter(json),
                                          nullptr);
  }

 private:
  valijson::Schema schema_;
};

TEST_CASE("profile schema: the shipped file is the one this build generates") {
  CHECK(read_file(kSource / "configs/schema/backend-profile.schema.json") == profile_schema_json());
}

TEST_CASE("profile fields: the shipped page is the one this build writes") {
  CHECK(read_file(kSource / "configs/FIELDS.md") == profile_field_table());
}

TEST_CASE("profile schema: accepts every shipped profile") {
  SchemaValidator validator;
  for (const fs::directory_entry& entry : fs::directory_iterator(kSource / "configs/profiles")) {
    CAPTURE(entry.path().string());
    CHECK(validator.accepts(entry.path()));
  }
}

TEST_CASE("profile schema: refuses bad files whose error is not in the meaning") {
  SchemaValidator validator;
  for (const char* name : {"unknown_key__misspelt_key",
                           "unknown_key__in_op",
                           "unknown_key__no_such_op",
                           "missing_key__schema_version",
                           "missing_key__name",
                           "missing_key__step_op",
                           "bad_value__rounding_nearest",
                           "bad_value__rounding_misspelt",
                           "bad_value__rounding_empty",
                           "bad_value__wrong_type_text",
                           "bad_value__wrong_type_boolean",
                           "bad_value__wrong_type_object",
                           "bad_value__wrong_type_of_boolean",
                           "bad_value__bits_zero",
                           "bad_value__bits_negative",
                           "bad_value__bits_33",
                           "bad_value__scale_zero",
                           "bad_value__divisor_negative",
                           "bad_value__schema_version_999",
                           "bad_value__schema_version_text",
                           "bad_value__top_level_list",
                           "bad_value__extends_number"}) {
    CAPTURE(name);
    CHECK(!validator.accepts(kSource / "tests/profiles/bad" / (std::string(name) + ".json")));
  }
}

}  // namespace
}  // namespace facsim::backends
