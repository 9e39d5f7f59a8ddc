// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/core/types.h"
#include "sim/overflow/overflow.h"

namespace facsim::sim {

/// How products are summed.
///
/// acc starts at 0 (or at the bias, `init == bias`), takes one product (x - zx) * (w - zw) per tap
/// in the order kh, kw, ic when `order == sequential`, and is brought into `bits` by `overflow`
/// after each addition; the bias is added last when `init == zero`. With `order == any` the
/// platform promises nothing about the order; overflow must then be `wrap` (order-free modulo
/// 2^bits) or be proved impossible.
///
/// Event accumulator_overflow, at most one per output element: with `order == sequential` when any
/// addition (the bias included) left the width, with `order == any` when the exact total did.
struct Accumulator {
  enum class Order { any, sequential };
  enum class Init { zero, bias };
  int bits = 32;  ///< 8..64
  Overflow overflow = Overflow::wrap;
  Order order = Order::any;
  Init init = Init::zero;

  constexpr IntType type() const { return {bits, true}; }
  /// The values that the overflow policy leaves alone: the type's, without the lowest if symmetric.
  constexpr int64_t min() const {
    return overflow == Overflow::saturate_symmetric ? -type().max() : type().min();
  }
  constexpr int64_t max() const { return type().max(); }
  friend bool operator==(const Accumulator&, const Accumulator&) = default;
};

}  // namespace facsim::sim
