// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/rounding/round.h"

namespace facsim::sim::rounding {

/// Nearest; a tie goes to the even neighbour.
///   -2.5 -> -2, -1.5 -> -2, -0.5 -> 0, 0.5 -> 0, 1.5 -> 2, 2.5 -> 2
/// IEEE 754 roundTiesToEven, rint() in the default mode, ONNX QuantizeLinear, Vivado AP_RND_CONV.
struct half_even {
  template <class I>
  static constexpr I rounds_up(const Fraction<I>& x) {
    return x.above_half | (x.half & x.floor_odd);
  }
};

}  // namespace facsim::sim::rounding
