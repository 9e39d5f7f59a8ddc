// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "backends/json/object_reader-internal.h"
#include "backends/parity/identify-internal.h"

namespace facsim::backends::detail {

void put_asked(nlohmann::ordered_json& json, const IdentifyAsked& asked);
IdentifyAsked read_asked(json::ObjectReader& reader);

}  // namespace facsim::backends::detail
