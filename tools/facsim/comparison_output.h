// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "tools/facsim/compare_network.h"

namespace facsim::cli {

/// A comparison as `compare` shows it: tensors, the first mismatches and how they were computed,
/// the verdict. `accepted`: a tolerance lets it pass.
nlohmann::ordered_json report_json(const NetworkComparison& comparison, bool accepted);
/// `every_chain`: how every differing tensor's first mismatch came, not only the network's.
void print_report(const NetworkComparison& comparison, bool accepted, bool color,
                  bool every_chain = false);
/// The block about a tensor's first mismatch: counts, sum, scale, exact value, both codes, who set
/// the rules.
std::string mismatch_text(const Divergence& divergence, const backends::TensorComparison& tensor);
/// One testcase per tensor, failed where it is not accepted.
std::string report_junit(const NetworkComparison& comparison, const backends::Tolerance& tolerance);

}  // namespace facsim::cli
