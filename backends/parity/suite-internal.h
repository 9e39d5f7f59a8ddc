// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "backends/parity/suite.h"

namespace facsim::backends::detail {

inline constexpr std::string_view kSuiteFormat = "facsim-suite";
inline constexpr int kSuiteVersion = 1;
inline constexpr std::string_view kSuiteFileName = "suite.json";

/// read_suite of a text; `name` is the file it is for.
Suite suite_from_text(std::string_view text, const std::string& name);

}  // namespace facsim::backends::detail
