// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/overflow/bounds.h"

namespace facsim::sim::overflow {

/// The nearest value of the type without its lowest code: min(max(v, -max), max), so that -v always
/// exists. int8: 128 -> 127, -128 -> -127 (counts as saturated). Unsigned types: as `saturate`.
/// Vivado AP_SAT_SYM.
struct saturate_symmetric {
  template <class I>
  static constexpr I bring(I v, Bounds<I> b) {
    return smaller_of(larger_of(v, larger_of(b.min, -b.max)), b.max);
  }
};

}  // namespace facsim::sim::overflow
