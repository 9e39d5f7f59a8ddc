// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/layout_check.h"

#include <fmt/format.h>

#include "fused/value.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

std::string_view to_string(Layout layout) { return layout == Layout::nchw ? "NCHW" : "NHWC"; }

Shape in_layout(const Shape& shape, Layout from, Layout to) {
  if (from == to || shape.rank() != 4) return shape;
  return from == Layout::nchw ? Shape{shape[0], shape[2], shape[3], shape[1]}
                              : Shape{shape[0], shape[3], shape[1], shape[2]};
}

Tensor in_layout(const Tensor& tensor, Layout from, Layout to) {
  if (from == to || tensor.shape().rank() != 4) return tensor;
  return from == Layout::nchw ? fused::nhwc_from_nchw(tensor) : fused::nchw_from_nhwc(tensor);
}

bool may_be_transposed(const Shape& ours, const Shape& theirs) {
  if (ours.rank() != 4 || theirs.rank() != 4) return false;
  return in_layout(theirs, Layout::nchw, Layout::nhwc) == ours ||
         in_layout(theirs, Layout::nhwc, Layout::nchw) == ours;
}

std::optional<LayoutFinding> find_layout(const std::string& name, const Tensor& ours,
                                         const Tensor& theirs, std::optional<int64_t> as_they_are) {
  std::optional<LayoutFinding> best;
  if (ours.dtype() != theirs.dtype() || !may_be_transposed(ours.shape(), theirs.shape())) {
    return best;
  }
  for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
    if (in_layout(theirs.shape(), layout, other(layout)) != ours.shape()) continue;
    backends::TensorComparator comparator(name, ours.dtype(), ours.shape(), 0);
    comparator.add(ours, in_layout(theirs, layout, other(layout)));
    const backends::TensorComparison& result = comparator.result();
    const LayoutFinding found{name, layout, result.compared, result.mismatches, as_they_are};
    if (!best || found.mismatches < best->mismatches) best = found;
  }
  if (best && as_they_are && best->mismatches * 2 >= *as_they_are) return std::nullopt;
  return best;
}

std::string layout_text(const std::vector<LayoutFinding>& findings, std::string_view ours,
                        std::string_view theirs) {
  std::string text;
  for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
    std::vector<std::string> names;
    int64_t compared = 0, mismatches = 0, before = 0;
    bool fits = false;
    for (const LayoutFinding& finding : findings) {
      if (finding.theirs != layout) continue;
      names.push_back(printable(finding.name));
      compared += finding.compared;
      mismatches += finding.mismatches;
      fits = fits || finding.as_they_are.has_value();
      before += finding.as_they_are.value_or(0);
    }
    if (names.empty()) continue;
    const size_t count = names.size();
    constexpr size_t kShown = 3;
    const bool cut = count > kShown;
    if (cut) names.resize(kShown);
    text += fmt::format(
        "{} is {} where {} is {} ({}{}): compare with --layout {}; {} of {} values differ when "
        "transposed{}\n",
        theirs, to_string(layout), ours, to_string(other(layout)), fmt::join(names, ", "),
        cut ? fmt::format(" and {} more", count - kShown) : "",
        layout == Layout::nchw ? "nchw" : "nhwc", with_commas(mismatches), with_commas(compared),
        fits ? fmt::format(", {} as they are", with_commas(before)) : "");
  }
  return text;
}

}  // namespace facsim::cli
