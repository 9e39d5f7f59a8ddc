// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "tools/facsim/compare_network.h"

namespace facsim::cli {

/// A comparison for programs: tensors, the first mismatches and how they were computed, the
/// verdict. `accepted`: a tolerance lets it pass.
nlohmann::ordered_json report_json(const NetworkComparison& comparison, bool accepted);

/// What people are shown of a comparison.
struct ReportView {
  bool accepted = false;  ///< a tolerance lets it pass
  bool color = false;
  bool every_chain = false;  ///< how the first mismatch of every tensor came, not of the first only
  bool every_tensor = false;  ///< counts and first mismatches of every tensor likewise
  std::string cause{};        ///< lines about why, after the first tensor that differs
};
/// Whether what differs is laid out otherwise, and nothing else differs.
bool layouts_explain(const NetworkComparison& comparison);
/// The verdict, the first tensor that differs, a line for each.
void print_report(const NetworkComparison& comparison, const ReportView& view);
/// The block about a tensor's first mismatch: counts, sum, scale, exact value, both codes, who set
/// the rules.
std::string mismatch_text(const Divergence& divergence, const backends::TensorComparison& tensor);
/// One testcase per tensor, failed where it is not accepted.
std::string report_junit(const NetworkComparison& comparison, const backends::Tolerance& tolerance);

}  // namespace facsim::cli
