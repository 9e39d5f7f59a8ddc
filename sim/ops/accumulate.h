// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <type_traits>

#include "sim/core/wide.h"
#include "sim/ops/accumulator.h"

namespace facsim::sim {

/// One accumulator as the norm computes it.
struct Accumulated {
  int64_t value = 0;
  bool left_width = false;  ///< the event accumulator_overflow
};

/// sum_t x[t] * w[t] modulo 2^32 or 2^64 (the width of Sum, an unsigned type). Tap: int16_t or
/// int32_t, values already centred (code - zero_point).
template <class Sum, class Tap>
Sum modular_sum(const Tap* x, const Tap* w, int64_t taps) {
  using Product = std::make_signed_t<Sum>;
  Sum sum = 0;
  for (int64_t t = 0; t < taps; ++t) {
    sum += static_cast<Sum>(static_cast<Product>(x[t]) * static_cast<Product>(w[t]));
  }
  return sum;
}

/// The norm of a sequential accumulator: every addition in the order of t, each brought into the
/// width at once. Wide holds any value of the width plus one product: int64_t up to 62 bits.
template <class Wide, class Tap>
Accumulated sequential_sum(const Tap* x, const Tap* w, int64_t taps, int64_t bias,
                           const Accumulator& accumulator) {
  const IntType type = accumulator.type();
  const Wide min = accumulator.min();
  const Wide max = accumulator.max();
  Wide sum = 0;
  bool left_width = false;
  const auto add = [&](Wide addend) {
    sum += addend;
    if (sum < min || sum > max) {
      bool changed = false;
      sum = static_cast<Wide>(bring_into(accumulator.overflow, sum, type, changed));
      left_width = left_width || changed;
    }
  };
  const bool bias_first = accumulator.init == Accumulator::Init::bias;
  if (bias_first) add(bias);
  for (int64_t t = 0; t < taps; ++t) add(static_cast<Wide>(x[t]) * w[t]);
  if (!bias_first) add(bias);
  return {static_cast<int64_t>(sum), left_width};
}

/// The norm of an accumulator whose order is free: the exact total, brought into the width once.
/// For `wrap` this equals every order modulo 2^bits; other policies reach it only where range
/// analysis proved that nothing leaves the width.
template <class Tap>
Accumulated unordered_sum(const Tap* x, const Tap* w, int64_t taps, int64_t bias,
                          const Accumulator& accumulator) {
  const int128 total =
      static_cast<int128>(static_cast<int64_t>(modular_sum<uint64_t>(x, w, taps))) + bias;
  Accumulated result;
  result.value = static_cast<int64_t>(
      bring_into(accumulator.overflow, total, accumulator.type(), result.left_width));
  return result;
}

/// sum_t x[t] * w[t] + bias by the rules of `accumulator`. taps <= 2^28 and |x|, |w| < 2^17, so the
/// exact total of the products fits 64 bits. When no events are asked for (`CountEvents` false), a
/// wrapping accumulator of up to 32 bits is summed modulo 2^32: the same bits, because 2^bits
/// divides 2^32.
/// Error bad_value where the overflow policy is `error` and the width is left.
template <bool CountEvents, class Tap>
Accumulated accumulate(const Tap* x, const Tap* w, int64_t taps, int64_t bias,
                       const Accumulator& accumulator) {
  if constexpr (!CountEvents && sizeof(Tap) == 2) {
    if (accumulator.overflow == Overflow::wrap && accumulator.bits <= 32) {
      const uint32_t sum = modular_sum<uint32_t>(x, w, taps) + static_cast<uint32_t>(bias);
      const int unused = 32 - accumulator.bits;
      return {static_cast<int32_t>(sum << unused) >> unused, false};
    }
  }
  if (accumulator.order == Accumulator::Order::any ||
      (!CountEvents && accumulator.overflow == Overflow::wrap)) {
    return unordered_sum(x, w, taps, bias, accumulator);
  }
  return accumulator.bits <= 62 ? sequential_sum<int64_t>(x, w, taps, bias, accumulator)
                                : sequential_sum<int128>(x, w, taps, bias, accumulator);
}

}  // namespace facsim::sim
