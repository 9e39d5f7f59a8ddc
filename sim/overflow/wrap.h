// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/overflow/bounds.h"

namespace facsim::sim::overflow {

/// Keeps the low bits, two's complement: v modulo 2^bits. int8: 128 -> -128, -129 -> 127, 300
/// -> 44. What a register does; Vivado AP_WRAP, C unsigned arithmetic.
struct wrap {
  template <class I>
  static constexpr I bring(I v, Bounds<I> b) {
    const I sign = -b.min;         // the sign bit's weight, 0 for unsigned types
    const I mask = b.max - b.min;  // 2^bits - 1; needs a spare bit in I
    return ((v & mask) ^ sign) - sign;
  }
};

}  // namespace facsim::sim::overflow
