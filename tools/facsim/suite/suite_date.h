// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ctime>
#include <string>

#include <fmt/format.h>

namespace facsim::cli {

/// Now, in UTC: "2026-11-29T00:44:10Z".
inline std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm t{};
  gmtime_r(&now, &t);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", t.tm_year + 1900, t.tm_mon + 1,
                     t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
}

}  // namespace facsim::cli
