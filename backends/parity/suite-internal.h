// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace facsim::backends::detail {

inline constexpr std::string_view kSuiteFormat = "facsim-suite";
inline constexpr int kSuiteVersion = 1;
inline constexpr std::string_view kSuiteFileName = "suite.json";

}  // namespace facsim::backends::detail
