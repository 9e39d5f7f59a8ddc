// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

#include "sim/core/numeric.h"
#include "sim/rounding/half_even.h"

namespace facsim::sim {

/// The float32 nearest to an integer, ties to even, rounded once (not through float64), independent
/// of the floating-point mode. |v| < 2^127.
constexpr float to_float32(int128 v) {
  const int128 magnitude = v < 0 ? -v : v;
  int extra_bits = 0;  // beyond float32's 24
  while (magnitude >> extra_bits >= 1 << 24) ++extra_bits;
  const auto mantissa = static_cast<float>(static_cast<int32_t>(
      rounding::shift_right<rounding::half_even>(magnitude, static_cast<int128>(extra_bits))));
  const auto power = std::bit_cast<float>(static_cast<uint32_t>(127 + extra_bits) << 23);
  return (v < 0 ? -mantissa : mantissa) * power;  // exact: mantissa <= 2^24
}

/// min(max(v, low), high) in float32; a NaN becomes low, a zero the bound that is 0
/// (of its sign, as SSE's minps and maxps).
constexpr float clamp_float32(float v, float low, float high) {
  const float raised = v > low ? v : low;
  return raised < high ? raised : high;
}

}  // namespace facsim::sim
