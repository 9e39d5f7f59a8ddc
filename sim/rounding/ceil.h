// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/rounding/round.h"

namespace facsim::sim::rounding {

/// Toward +infinity.
///   -2.5 -> -2, -1.5 -> -1, -0.5 -> 0, 0.5 -> 1, 1.5 -> 2, 2.5 -> 3
/// qonnx CEIL, Vitis AI method 7.
struct ceil {
  template <class Condition>
  static constexpr auto rounds_up(const Fraction<Condition>& x) {
    return x.inexact;
  }
};

}  // namespace facsim::sim::rounding
