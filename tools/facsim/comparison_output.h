// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "tools/facsim/compare_network.h"

namespace facsim::cli {

/// A comparison as `compare` shows it: tensors, the first mismatches and how they were computed,
/// the verdict. `accepted`: a tolerance lets it pass.
nlohmann::ordered_json report_json(const NetworkComparison& comparison, bool accepted);
void print_report(const NetworkComparison& comparison, bool accepted, bool color);

}  // namespace facsim::cli
