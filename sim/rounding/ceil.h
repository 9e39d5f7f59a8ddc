// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/rounding/round.h"

namespace facsim::sim::rounding {

/// Toward +infinity.
///   -2.5 -> -2, -1.5 -> -1, -0.5 -> 0, 0.5 -> 1, 1.5 -> 2, 2.5 -> 3
/// qonnx CEIL, Vitis AI method 7.
struct ceil {
  template <class I>
  static constexpr I rounds_up(const Fraction<I>& x) {
    return x.inexact;
  }
};

}  // namespace facsim::sim::rounding
