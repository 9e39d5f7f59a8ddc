// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/rounding/round.h"

namespace facsim::sim::rounding {

/// Nearest; a tie goes to -infinity: ceil(x - 1/2).
///   -2.5 -> -3, -1.5 -> -2, -0.5 -> -1, 0.5 -> 0, 1.5 -> 1, 2.5 -> 2
/// Vivado AP_RND_MIN_INF.
struct half_down {
  template <class I>
  static constexpr I rounds_up(const Fraction<I>& x) {
    return x.above_half;
  }
};

}  // namespace facsim::sim::rounding
