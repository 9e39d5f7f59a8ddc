// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/rounding/round.h"

namespace facsim::sim::rounding {

/// Nearest; a tie goes toward zero: sign(x) * ceil(|x| - 1/2).
///   -2.5 -> -2, -1.5 -> -1, -0.5 -> 0, 0.5 -> 0, 1.5 -> 1, 2.5 -> 2
/// Vivado AP_RND_ZERO, Vitis AI method 6.
struct half_toward_zero {
  template <class I>
  static constexpr I rounds_up(const Fraction<I>& x) {
    return x.above_half | (x.half & x.negative);
  }
};

}  // namespace facsim::sim::rounding
