// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/rounding/round.h"

namespace facsim::sim::rounding {

/// Nearest; a tie of a negative number goes to +infinity, of a positive one to the even neighbour.
///   -2.5 -> -2, -1.5 -> -1, -0.5 -> 0, 0.5 -> 0, 1.5 -> 2, 2.5 -> 2
/// Vitis AI's nndct rounding method 5.
struct neg_half_up_pos_half_even {
  template <class I>
  static constexpr I rounds_up(const Fraction<I>& x) {
    return x.above_half | (x.half & (x.negative | x.floor_odd));
  }
};

}  // namespace facsim::sim::rounding
