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

}  // namespace

Conv2dRange::Conv2dRange(const Conv2dParams& params) {
  const int64_t oc = params.weights.shape()[0];
  const int64_t taps = oc == 0 ? 0 : params.weights.numel() / oc;
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
      if (c == 0) all_ = bounds;
      all_.partial_min = std::min(all_.partial_min, bounds.partial_min);
      all_.partial_max = std::max(all_.partial_max, bounds.partial_max);
      all_.total_min = std::min(all_.total_min, bounds.total_min);
      all_.total_max = std::max(all_.total_max, bounds.total_max);
    }
  });
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
