// SPDX-License-Identifier: Apache-2.0
// What a command prints with --format json, held to its published schema.
#pragma once

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/backends/schema_validator.h"
#include "tests/formats/temp_folder.h"

namespace facsim::test {

/// The findings of configs/schema/NAME.schema.json about a printed text; empty if it is accepted.
inline std::string schema_findings(const std::string& name, const std::string& printed) {
  const std::filesystem::path folder = FACSIM_SOURCE_DIR "/configs/schema";
  const auto value = nlohmann::json::parse(printed, nullptr, false);
  if (value.is_discarded()) return "no JSON: " + printed.substr(0, 80);
  PublishedSchema schema(nlohmann::json::parse(contents(folder / (name + ".schema.json"))));
  return schema.findings(value);
}

/// A printed text as JSON, held to its schema.
inline nlohmann::json printed_json(const std::string& name, const std::string& printed) {
  CHECK(schema_findings(name, printed) == "");
  return nlohmann::json::parse(printed);
}

}  // namespace facsim::test
