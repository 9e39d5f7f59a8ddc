// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/conv2d_range.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>
#include <type_traits>
#include <utility>

#include "sim/ops/op_support-internal.h"

namespace facsim::sim {
namespace {

struct SignedSums {
  int64_t positive = 0;
  int64_t negative = 0;
};

constexpr int64_t kBlock = 8192;  // |code - zero_point| < 2^17: a block's sum fits int32

/// Sums of the positive and the negative values of (code - zero_point), from the sums of the values
/// and of their magnitudes.
SignedSums from_sums(int64_t total, int64_t magnitude) {
  return {(magnitude + total) / 2, -(magnitude - total) / 2};
}

/// Codes of 8 bits, mapped to unsigned ones: compilers turn a sum of |u8 - u8| into one instruction
/// (psadbw), and O(weights) is paid in every training step.
template <class Code>
requires(sizeof(Code) == 1) SignedSums
    signed_sums(const Code* codes, int64_t count, int32_t zero_point) {
  constexpr uint8_t kFlip = std::is_signed_v<Code> ? 0x80 : 0;
  const uint8_t zero = static_cast<uint8_t>(zero_point + kFlip);
  int64_t total = -count * zero;
  int64_t magnitude = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(count, begin + kBlock);
    int32_t block_total = 0;
    int32_t block_magnitude = 0;
    for (int64_t i = begin; i < end; ++i) {
      const uint8_t code = static_cast<uint8_t>(static_cast<uint8_t>(codes[i]) ^ kFlip);
      block_total += std::abs(code - uint8_t{0});
      block_magnitude += std::abs(code - zero);
    }
    total += block_total;
    magnitude += block_magnitude;
  }
  return from_sums(total, magnitude);
}

template <class Code>
SignedSums signed_sums(const Code* codes, int64_t count, int32_t zero_point) {
  int64_t total = 0;
  int64_t magnitude = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(count, begin + kBlock);
    int32_t block_total = 0;
    int32_t block_magnitude = 0;
    for (int64_t i = begin; i < end; ++i) {
      const int32_t value = static_cast<int32_t>(codes[i]) - zero_point;
      block_total += value;
      block_magnitude += value < 0 ? -value : value;
    }
    total += block_total;
    magnitude += block_magnitude;
  }
  return from_sums(total, magnitude);
}

/// Smallest and largest code (a loop of its own, which compilers vectorize).
template <class Code>
std::pair<int64_t, int64_t> code_range(const Code* codes, int64_t count) {
  Code lowest = codes[0];
  Code highest = codes[0];
  for (int64_t i = 1; i < count; ++i) {
    lowest = std::min(lowest, codes[i]);
    highest = std::max(highest, codes[i]);
  }
  return {lowest, highest};
}

/// What the multipliers see of the input, and the weight that they see as 0.
struct SeenOperands {
  int128 x_min, x_max;
  bool weight_codes;  ///< weights without their zero point
};

SeenOperands operands_of(const Conv2dParams& p) {
  using Kind = Accumulator::Operands;
  const Kind kind = p.accumulator.operands;
  const int64_t offset = input_operand_offset(p) - p.input_zero_point;
  return {p.input_type.min() + offset, p.input_type.max() + offset, kind != Kind::centred};
}

struct ProductBounds {
  int128 low, high;
};

ProductBounds products_of(const SignedSums& w, const SeenOperands& x) {
  return {w.positive * x.x_min + w.negative * x.x_max, w.positive * x.x_max + w.negative * x.x_min};
}

bool inside_width(const ProductBounds& sum, int bits, Overflow overflow) {
  const Accumulator width{.bits = bits, .overflow = overflow};
  return sum.low >= width.min() && sum.high <= width.max();
}

/// True if every group of one channel, and what it is summed in until a spill, fits the block's
/// register. A group's partial sums are inside its bounds, so the taps between two spills are
/// looked at as one group.
template <class Code>
bool groups_fit(const Accumulator::Block& block, const Code* codes, int64_t taps,
                int64_t per_position, int32_t zero_point, const SeenOperands& x) {
  const bool by_position = block.span == Accumulator::Block::Span::position;
  const int64_t span = by_position ? per_position : taps;
  const int64_t group = block.spill_every > 0 ? block.spill_every : block.taps;
  for (int64_t position = 0; position < taps; position += span) {
    const int64_t end = std::min(taps, position + span);
    for (int64_t first = position; first < end; first += group) {
      const int64_t count = std::min(group, end - first);
      const SignedSums w = signed_sums(codes + first, count, zero_point);
      if (!inside_width(products_of(w, x), block.bits, block.overflow)) return false;
    }
  }
  return true;
}

/// True if no product can be rounded by, or leave, the term.
bool terms_fit(const Accumulator::Term& term, const SeenOperands& x, int64_t w_min, int64_t w_max) {
  if (term.shift != 0) return false;
  const ProductBounds product =
      products_of({std::max<int64_t>(w_max, 0), std::min<int64_t>(w_min, 0)}, x);
  return inside_width(product, term.bits, term.overflow);
}

}  // namespace

int64_t input_operand_offset(const Conv2dParams& params) {
  switch (params.accumulator.operands) {
    case Accumulator::Operands::centred:
      return 0;
    case Accumulator::Operands::codes:
      return params.input_zero_point;
    case Accumulator::Operands::unsigned_codes:
      return params.input_zero_point - params.input_type.min();
  }
  return 0;
}

Conv2dRange::Conv2dRange(const Conv2dParams& params) {
  const int64_t oc = params.weights.shape()[0];
  const int64_t taps = oc == 0 ? 0 : params.weights.numel() / oc;
  const Accumulator& accumulator = params.accumulator;
  const SeenOperands seen = operands_of(params);
  const int128 x_min = params.input_type.min() - params.input_zero_point;
  const int128 x_max = params.input_type.max() - params.input_zero_point;
  channels_.resize(static_cast<size_t>(oc));
  detail::with_integer(params.weights.dtype(), [&]<class Code>() {
    for (int64_t c = 0; c < oc; ++c) {
      const size_t channel = static_cast<size_t>(c);
      const size_t zero = params.weight_zero_point.size() == 1 ? 0 : channel;
      const Code* codes = params.weights.data<Code>() + c * taps;
      const int64_t zero_point = params.weight_zero_point[zero];
      const SignedSums w = signed_sums(codes, taps, static_cast<int32_t>(zero_point));
      int64_t lowest = params.weight_type.min();
      int64_t highest = params.weight_type.max();
      if (lowest - zero_point < INT8_MIN || highest - zero_point > INT8_MAX) {
        std::tie(lowest, highest) = code_range(codes, taps);
      }
      centred_weight_min_ = std::min(centred_weight_min_, lowest - zero_point);
      centred_weight_max_ = std::max(centred_weight_max_, highest - zero_point);
      const int128 bias = params.bias.empty() ? 0 : params.bias.int_at(c);
      const int128 low = w.positive * x_min + w.negative * x_max;
      const int128 high = w.positive * x_max + w.negative * x_min;
      const bool bias_first = params.accumulator.init == Accumulator::Init::bias;
      Bounds& bounds = channels_[channel];
      bounds.weight_sum = w.positive + w.negative;
      bounds.total_min = low + bias;
      bounds.total_max = high + bias;
      bounds.partial_min = bias_first ? bounds.total_min : std::min(low, bounds.total_min);
      bounds.partial_max = bias_first ? bounds.total_max : std::max(high, bounds.total_max);
      if (accumulator.is_structured()) {
        const int32_t seen_zero = seen.weight_codes ? 0 : static_cast<int32_t>(zero_point);
        const ProductBounds codes_sum = products_of(signed_sums(codes, taps, seen_zero), seen);
        const int128 start = bias_first ? bias : 0;
        bounds.partial_min = std::min(bounds.partial_min, codes_sum.low + start);
        bounds.partial_max = std::max(bounds.partial_max, codes_sum.high + start);
        if (accumulator.term) {
          const auto [w_min, w_max] = code_range(codes, taps);
          plain_ =
              plain_ && terms_fit(*accumulator.term, seen, w_min - seen_zero, w_max - seen_zero);
        }
        plain_ = plain_ &&
                 (!accumulator.block || groups_fit(*accumulator.block, codes, taps,
                                                   params.weights.shape()[3], seen_zero, seen));
      }
      if (c == 0) all_ = bounds;
      all_.partial_min = std::min(all_.partial_min, bounds.partial_min);
      all_.partial_max = std::max(all_.partial_max, bounds.partial_max);
      all_.total_min = std::min(all_.total_min, bounds.total_min);
      all_.total_max = std::max(all_.total_max, bounds.total_max);
    }
  });
  if (!plain_) mark_structured(accumulator);
}

void Conv2dRange::mark_structured(const Accumulator& accumulator) {
  const auto widen = [&](Bounds& bounds) {
    bounds.partial_min = bounds.total_min = accumulator.min();
    bounds.partial_max = bounds.total_max = accumulator.max();
  };
  for (Bounds& bounds : channels_) widen(bounds);
  widen(all_);
}

void Conv2dRange::check_order(const Accumulator& accumulator) const {
  if (accumulator.order == Accumulator::Order::sequential || exact(accumulator) ||
      accumulator.overflow == Overflow::wrap) {
    return;
  }
  throw Error({ErrorCode::unsupported, "conv2d accumulator",
               "order any with overflow " + std::string(to_string(accumulator.overflow)) + " in " +
                   std::to_string(accumulator.bits) + " bits, which these weights can leave",
               "order sequential, or overflow wrap", ""});
}

}  // namespace facsim::sim
