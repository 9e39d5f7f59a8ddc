// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/rounding/round.h"

namespace facsim::sim::rounding {

/// Nearest; a tie goes to the odd neighbour.
///   -2.5 -> -3, -1.5 -> -1, -0.5 -> -1, 0.5 -> 1, 1.5 -> 1, 2.5 -> 3
/// The mirror of half_even; RISC-V vxrm rod is not it (that jams, it does not round to nearest).
struct half_odd {
  template <class I>
  static constexpr I rounds_up(const Fraction<I>& x) {
    return x.above_half | (x.half & ~x.floor_odd);
  }
};

}  // namespace facsim::sim::rounding
