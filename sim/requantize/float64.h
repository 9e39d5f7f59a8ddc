// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

#include "sim/core/numeric.h"
#include "sim/rounding/half_even.h"

namespace facsim::sim {

/// The float64 nearest to an integer, ties to even, rounded once, independent of the floating-point
/// mode. |v| < 2^127.
constexpr double to_float64(int128 v) {
  const int128 magnitude = v < 0 ? -v : v;
  int extra_bits = 0;  // beyond float64's 53
  while (magnitude >> extra_bits >= int128{1} << 53) ++extra_bits;
  const auto mantissa = static_cast<double>(static_cast<int64_t>(
      rounding::shift_right<rounding::half_even>(magnitude, static_cast<int128>(extra_bits))));
  const auto power = std::bit_cast<double>(static_cast<uint64_t>(1023 + extra_bits) << 52);
  return (v < 0 ? -mantissa : mantissa) * power;  // exact: mantissa <= 2^53
}

/// min(max(v, low), high) in float64; a NaN becomes low, a zero the bound that is 0
/// (of its sign, as SSE's minps and maxps).
constexpr double clamp_float64(double v, double low, double high) {
  const double raised = v > low ? v : low;
  return raised < high ? raised : high;
}

}  // namespace facsim::sim
