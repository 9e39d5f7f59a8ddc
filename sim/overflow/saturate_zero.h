// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/overflow/bounds.h"

namespace facsim::sim::overflow {

/// Values outside become 0. int8: 127 -> 127, 128 -> 0, -129 -> 0. Vivado AP_SAT_ZERO.
struct saturate_zero {
  template <class I>
  static constexpr I bring(I v, Bounds<I> b) {
    const I zero = constant_like(v, 0);
    return select(v < b.min, zero, select(v > b.max, zero, v));
  }
};

}  // namespace facsim::sim::overflow
