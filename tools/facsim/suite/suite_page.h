// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tools/facsim/suite/suite_run.h"

namespace facsim::cli {

/// One page about suites that were run with SuitePage::html: every case as `compare --html` shows
/// it.
std::string suite_html(const std::vector<SuiteRun>& runs);

}  // namespace facsim::cli
