// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/rounding/round.h"

namespace facsim::sim::rounding {

/// Toward -infinity.
///   -2.5 -> -3, -1.5 -> -2, -0.5 -> -1, 0.5 -> 0, 1.5 -> 1, 2.5 -> 2
/// An arithmetic right shift, Vivado AP_TRN.
struct floor {
  template <class I>
  static constexpr I rounds_up(const Fraction<I>& x) {
    return constant_like(x.negative, 0);
  }
};

}  // namespace facsim::sim::rounding
