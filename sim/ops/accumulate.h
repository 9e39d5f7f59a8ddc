// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
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

/// What a structured accumulator must know about its taps besides their centred values.
struct TapLayout {
  int64_t per_position = 0;  ///< taps of one kernel position; 0: there is only one
  /// What the multipliers see is x + x_offset and w + w_offset (Accumulator::Operands).
  int64_t x_offset = 0, w_offset = 0;
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
/// width at once. Wide holds any value of the width plus one product or the bias: int64_t up to 62
/// bits and |bias| <= 2^62.
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

/// A register that values are added to, each sum brought into its width at once.
class WidthRegister {
 public:
  WidthRegister(int bits, Overflow overflow)
      : width_{.bits = bits, .overflow = overflow}, min_(width_.min()), max_(width_.max()) {}
  void add(int128 addend, bool& left_width) {
    const int128 sum = addend + value_;
    if (sum >= min_ && sum <= max_) {
      value_ = static_cast<int64_t>(sum);
      return;
    }
    bool changed = false;
    value_ = static_cast<int64_t>(bring_into(width_.overflow, sum, width_.type(), changed));
    left_width = left_width || changed;
  }
  /// The value, which becomes 0.
  int64_t take() {
    const int64_t value = value_;
    value_ = 0;
    return value;
  }
  int64_t value() const { return value_; }

 private:
  Accumulator width_;
  int64_t min_, max_;
  int64_t value_ = 0;
};

/// A product, |product| < 2^36, as Accumulator::Term stores it.
inline int64_t cast_term(const Accumulator::Term& term, int64_t product, bool& left_width) {
  const bool left = term.shift < 0;
  const int64_t shifted =
      left ? product * (int64_t{1} << -term.shift)
           : static_cast<int64_t>(round_shift(term.rounding, product, term.shift));
  const Accumulator width{.bits = term.bits, .overflow = term.overflow};
  if (shifted >= width.min() && shifted <= width.max()) return shifted;
  bool changed = false;
  const int128 result = bring_into(term.overflow, shifted, width.type(), changed);
  left_width = left_width || changed;
  return static_cast<int64_t>(result);
}

/// The norm of terms, blocks and operands other than centred ones: see Accumulator. With
/// `order == any` the groups still hold consecutive taps; only their total is order-free.
template <class Tap>
Accumulated structured_sum(const Tap* x, const Tap* w, int64_t taps, int64_t bias,
                           const Accumulator& accumulator, const TapLayout& layout) {
  // Order any: the exact total, brought into the width once.
  const bool sequential = accumulator.order == Accumulator::Order::sequential;
  WidthRegister acc(accumulator.bits, accumulator.overflow);
  int128 total = 0;
  bool left_width = false;
  const auto add = [&](int128 addend) {
    if (sequential) {
      acc.add(addend, left_width);
    } else {
      total += addend;
    }
  };
  const bool bias_first = accumulator.init == Accumulator::Init::bias;
  if (bias_first) add(bias);
  const Accumulator::Block block =
      accumulator.block.value_or(Accumulator::Block{1, 62, Overflow::wrap, 0, {}});
  const bool by_position =
      block.span == Accumulator::Block::Span::position && layout.per_position > 0;
  const int64_t span = by_position ? layout.per_position : std::max<int64_t>(taps, 1);
  const int64_t spill = block.spill_every;
  WidthRegister brought(block.bits, block.overflow), partial(block.bits, block.overflow);
  const bool centred = accumulator.operands == Accumulator::Operands::centred;
  int128 missing = 0;  // to the sum of centred products
  for (int64_t position = 0; position < taps; position += span) {
    const int64_t end = std::min(taps, position + span);
    for (int64_t first = position; first < end; first += block.taps) {
      const int64_t last = std::min(end, first + block.taps);
      int128 group = 0;
      for (int64_t t = first; t < last; ++t) {
        const int64_t product = (x[t] + layout.x_offset) * (w[t] + layout.w_offset);
        if (!centred) missing += static_cast<int64_t>(x[t]) * w[t] - product;
        group += accumulator.term ? cast_term(*accumulator.term, product, left_width) : product;
      }
      brought.add(group, left_width);
      if (spill == 0) {
        add(brought.take());
        continue;
      }
      partial.add(brought.take(), left_width);
      if ((last - position) % spill == 0) add(partial.take());
    }
    if (spill != 0) add(partial.take());
  }
  if (!centred) add(missing);
  if (!bias_first) add(bias);
  if (!sequential) acc.add(total, left_width);
  return {static_cast<int64_t>(acc.value()), left_width};
}

/// sum_t x[t] * w[t] + bias by the rules of `accumulator`. taps <= 2^28 and |x|, |w| < 2^17, so the
/// exact total of the products fits 64 bits. When no events are asked for (`CountEvents` false), a
/// wrapping accumulator of up to 32 bits is summed modulo 2^32: the same bits, because 2^bits
/// divides 2^32.
/// Error bad_value where the overflow policy is `error` and the width is left.
template <bool CountEvents, class Tap>
Accumulated accumulate(const Tap* x, const Tap* w, int64_t taps, int64_t bias,
                       const Accumulator& accumulator, const TapLayout& layout = {}) {
  if (accumulator.is_structured()) {
    return structured_sum(x, w, taps, bias, accumulator, layout);
  }
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
  constexpr int64_t kMaxBias = int64_t{1} << 62;  // plus a value of 62 bits: inside 64 bits
  const bool fits_int64 = accumulator.bits <= 62 && bias >= -kMaxBias && bias <= kMaxBias;
  return fits_int64 ? sequential_sum<int64_t>(x, w, taps, bias, accumulator)
                    : sequential_sum<int128>(x, w, taps, bias, accumulator);
}

}  // namespace facsim::sim
