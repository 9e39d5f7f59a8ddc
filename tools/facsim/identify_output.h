// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "backends/parity/identify.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

/// "/requantize/rounding=floor /output/overflow=wrap", or "as shipped".
std::string settings_text(const backends::IdentifyCandidate& candidate);
nlohmann::ordered_json to_json(const backends::IdentifyResult& result);
/// How many fit of what the noun names ("row"), classes or what is nearest, which shipped profiles
/// fit and by what the others are excluded, what is undecided, and what cannot run.
void print_result(const backends::IdentifyResult& result, std::string_view noun);

/// The limits of suggested rows, and how far the classes can be told apart within them.
nlohmann::ordered_json limits_json(const backends::IdentifyResult& result,
                                   const backends::IdentifyLimits& limits);
void print_limits(const backends::IdentifyResult& result, const backends::IdentifyLimits& limits);

}  // namespace facsim::cli
