// SPDX-License-Identifier: Apache-2.0
// The sample of tensorflow issue 102943, and what identify says of it.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/tools/command_runner.h"

namespace facsim::test {

inline const std::vector<std::string> kIssue = {"identify",
                                                "--acc",
                                                "585",
                                                "--input-scale",
                                                "0.05296124517917633",
                                                "--weight-scale",
                                                "0.024093778803944588",
                                                "--output-scale",
                                                "0.11484327912330627",
                                                "--zero-point",
                                                "-126"};

inline CommandResult identify_issue(std::vector<std::string> more) {
  std::vector<std::string> words = kIssue;
  words.insert(words.end(), more.begin(), more.end());
  return run_command(words);
}

inline bool names_profile(const nlohmann::json& candidates, const std::string& profile) {
  for (const auto& c : candidates) {
    if (c.at("profile") == profile && c.at("settings").empty()) return true;
  }
  return false;
}

/// Of the shipped profiles that are excluded.
inline nlohmann::json exclusion_of(const nlohmann::json& result, const std::string& profile) {
  for (const auto& excluded : result.at("shipped").at("excluded")) {
    if (excluded.at("profile") == profile) return excluded;
  }
  return nullptr;
}

inline bool fits_as_shipped(const nlohmann::json& result, const std::string& profile) {
  const auto& fitting = result.at("shipped").at("fitting");
  return std::any_of(fitting.begin(), fitting.end(), [&](const auto& one) {
    return one.at("profile") == profile && !one.at("classes").empty();
  });
}

}  // namespace facsim::test
