// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "backends/parity/identify.h"

namespace facsim::cli {

/// "/requantize/rounding=floor /output/overflow=wrap", or "as shipped".
std::string settings_text(const backends::IdentifyCandidate& candidate);
nlohmann::ordered_json to_json(const backends::IdentifyResult& result);
/// How many fit of what the noun names ("rows"), classes or what is nearest, what is undecided, and
/// what cannot run.
void print_result(const backends::IdentifyResult& result, std::string_view noun);

}  // namespace facsim::cli
