// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/parity/compare.h"

namespace facsim::cli {

using Layout = backends::IntGraph::Layout;

constexpr Layout other(Layout layout) {
  return layout == Layout::nchw ? Layout::nhwc : Layout::nchw;
}
/// "NCHW".
std::string_view to_string(Layout layout);

/// The axes of a rank-4 tensor in the order of another layout; other ranks as they are.
Shape in_layout(const Shape& shape, Layout from, Layout to);
Tensor in_layout(const Tensor& tensor, Layout from, Layout to);

/// A tensor that the two sides seem to hold in different layouts.
struct LayoutFinding {
  std::string name;
  Layout theirs = Layout::nchw;  ///< theirs is that, ours the other
  int64_t compared = 0;
  int64_t mismatches = 0;                ///< once theirs is brought to ours
  std::optional<int64_t> as_they_are{};  ///< mismatches without; absent: the shapes do not fit
};
/// One line about all findings: "B is NCHW where A is NHWC in 3 tensors (y, …): compare with
/// --layout nchw; 0 of 60 values differ when transposed". `ours`, `theirs` name the sides.
std::string layout_text(const std::vector<LayoutFinding>& findings, std::string_view ours,
                        std::string_view theirs);

/// What transposing `theirs` gives, if the shapes of the two then fit; the better one where both
/// ways fit. For equal shapes (as_they_are is set) only if that removes more than half of the
/// mismatches.
std::optional<LayoutFinding> find_layout(const std::string& name, const Tensor& ours,
                                         const Tensor& theirs, std::optional<int64_t> as_they_are);
/// Whether shapes alone leave room for such a finding.
bool may_be_transposed(const Shape& ours, const Shape& theirs);

}  // namespace facsim::cli
