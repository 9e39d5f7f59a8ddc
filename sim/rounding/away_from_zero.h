// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/rounding/round.h"

namespace facsim::sim::rounding {

/// Away from zero: any fraction counts as one.
///   -2.5 -> -3, -1.5 -> -2, -0.5 -> -1, 0.5 -> 1, 1.5 -> 2, 2.5 -> 3
/// qonnx UP.
struct away_from_zero {
  template <class I>
  static constexpr I rounds_up(const Fraction<I>& x) {
    return x.inexact & ~x.negative;
  }
};

}  // namespace facsim::sim::rounding
