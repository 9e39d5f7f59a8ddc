// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/overflow/bounds.h"

namespace facsim::sim::overflow {

/// The nearest value of the type: min(max(v, min), max). int8: 128 -> 127, -129 -> -128.
/// Vivado AP_SAT, every saturating narrow instruction.
struct saturate {
  template <class I>
  static constexpr I bring(I v, Bounds<I> b) {
    return smaller_of(larger_of(v, b.min), b.max);
  }
};

}  // namespace facsim::sim::overflow
