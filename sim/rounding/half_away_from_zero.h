// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/rounding/round.h"

namespace facsim::sim::rounding {

/// Nearest; a tie goes away from zero: sign(x) * floor(|x| + 1/2).
///   -2.5 -> -3, -1.5 -> -2, -0.5 -> -1, 0.5 -> 1, 1.5 -> 2, 2.5 -> 3
/// C round(), gemmlowp RoundingDivideByPOT, NVDLA, Vivado AP_RND_INF, qonnx HALF_UP, Vitis AI
/// method 3.
struct half_away_from_zero {
  template <class I>
  static constexpr I rounds_up(const Fraction<I>& x) {
    return x.above_half | (x.half & ~x.negative);
  }
};

}  // namespace facsim::sim::rounding
