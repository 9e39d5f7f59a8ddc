// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/rounding/round.h"

namespace facsim::sim::rounding {

/// Nearest; a tie goes to +infinity: floor(x + 1/2).
///   -2.5 -> -2, -1.5 -> -1, -0.5 -> 0, 0.5 -> 1, 1.5 -> 2, 2.5 -> 3
/// gemmlowp SaturatingRoundingDoublingHighMul, TFLite single rounding, RISC-V vxrm rnu, Vivado
/// AP_RND, Vitis AI method 2.
struct half_up {
  template <class I>
  static constexpr I rounds_up(const Fraction<I>& x) {
    return x.above_half | x.half;
  }
};

}  // namespace facsim::sim::rounding
