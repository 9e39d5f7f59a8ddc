// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/core/types.h"
#include "sim/overflow/overflow.h"

namespace facsim::sim {

/// How products are summed.
///
/// acc starts at 0 (or at the bias, `init == bias`), takes one product (x - zx) * (w - zw) per tap in
/// the order kh, kw, ic when `order == sequential`, and is brought into `bits` by `overflow` after
/// each addition; the bias is added last when `init == zero`. With `order == any` the platform
/// promises nothing about the order; overflow must then be `wrap` (order-free modulo 2^bits) or be
/// proved impossible.
struct Accumulator {
  enum class Order { any, sequential };
  enum class Init { zero, bias };
  int bits = 32;  ///< 8..64
  Overflow overflow = Overflow::wrap;
  Order order = Order::any;
  Init init = Init::zero;
  friend bool operator==(const Accumulator&, const Accumulator&) = default;
};

}  // namespace facsim::sim
