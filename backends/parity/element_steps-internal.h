// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "backends/parity/element.h"

namespace facsim::backends::detail {

/// The steps of an explanation with the values of the arguments of the op's programs. `sources` are
/// those of the element, `index` its own (NHWC).
std::vector<ElementStep> element_steps(const sim::Op& op, const sim::Explanation& explanation,
                                       const std::vector<sim::SourceElement>& sources,
                                       const std::vector<int64_t>& index);

/// `values` of one channel: those of all where there is one.
template <class Value>
Value per_channel(const std::vector<Value>& values, int64_t channel) {
  return values[values.size() == 1 ? 0 : static_cast<size_t>(channel)];
}

}  // namespace facsim::backends::detail
