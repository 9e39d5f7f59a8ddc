// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/rounding/round.h"

namespace facsim::sim::rounding {

/// Toward zero: the fraction is cut off.
///   -2.5 -> -2, -1.5 -> -1, -0.5 -> 0, 0.5 -> 0, 1.5 -> 1, 2.5 -> 2
/// C integer division and float-to-integer casts, Vivado AP_TRN_ZERO, qonnx DOWN.
struct toward_zero {
  template <class I>
  static constexpr I rounds_up(const Fraction<I>& x) {
    return x.inexact & x.negative;
  }
};

}  // namespace facsim::sim::rounding
