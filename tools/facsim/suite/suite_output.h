// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tools/facsim/suite/suite_edit.h"
#include "tools/facsim/suite/suite_run.h"

namespace facsim::cli {

/// configs/schema/suite-run.schema.json describes it.
nlohmann::ordered_json to_json(const std::vector<SuiteRun>& runs);
void print_suite_run(const SuiteRun& run, bool color);
/// "3 passed, 1 failed, 0 unsupported, 0 invalid": cases; a suite that ran none counts as one.
std::string suite_summary(const std::vector<SuiteRun>& runs);
/// A JUnit test suite a case, a test case a layer.
std::string suite_junit(const std::vector<SuiteRun>& runs);

/// "the profile changed: 0123… -> 4567…".
std::string change_text(const SuiteChange& change);
/// "/requantize/rounding  \"half_up\" -> \"floor\"".
std::string setting_change_text(const backends::SettingChange& change);
/// What to type after a failed case.
std::vector<std::string> next_commands(const SuiteRun& run, const SuiteCaseRun& c);

}  // namespace facsim::cli
