// SPDX-License-Identifier: Apache-2.0
#include "quant/npu_scale.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "sim/core/error.h"
#include "sim/core/wide.h"

namespace facsim::quant {

namespace {

constexpr Multiplier kNoVelaScale{0, 16};

bool fits_vela_shift(int64_t shift) { return shift >= 0 && shift < 64; }

/// The number of bits of taps - 1: frexp's exponent of it.
int count_exponent(int64_t taps, int64_t largest) {
  if (taps < 1 || taps > largest) {
    throw Error({ErrorCode::unsupported, "average pool", fmt::format("{} taps", taps),
                 fmt::format("1..{}", largest), ""});
  }
  return std::bit_width(static_cast<uint64_t>(taps - 1));
}

}  // namespace

Multiplier vela_scale(double real) {
  if (!std::isfinite(real) || real < 0) {
    throw Error(
        {ErrorCode::bad_value, "multiplier", fmt::format("{}", real), "a finite number >= 0", ""});
  }
  int exponent = 0;
  const double fraction = std::frexp(real, &exponent);
  const int shift = 31 - exponent;
  if (!fits_vela_shift(shift)) return kNoVelaScale;
  return {static_cast<int64_t>(
              sim::round_real(sim::Rounding::half_away_from_zero, std::ldexp(fraction, 31))),
          shift};
}

Multiplier vela_reduced_scale(double real) {
  const Multiplier whole = vela_scale(real);
  constexpr int64_t kLargest = 32767;
  const int64_t reduced =
      whole.multiplier < kLargest << 16 ? (whole.multiplier + (int64_t{1} << 15)) >> 16 : kLargest;
  return {reduced, whole.shift - 16};
}

Multiplier tflite_single_rounding_scale(double real) {
  const Multiplier derived = derive_multiplier(real, {});
  return derived.shift < 1 ? Multiplier{INT32_MAX, 1} : derived;
}

Multiplier vela_pooling_scale(int64_t taps, int rescale_bits) {
  const int k = count_exponent(taps, int64_t{1} << 31);
  const int shift = 31 - rescale_bits + k;
  if (rescale_bits < 0 || rescale_bits > 31 || !fits_vela_shift(shift)) {
    throw Error({ErrorCode::unsupported, "average pool", fmt::format("right shift {}", shift),
                 "0..63", ""});
  }
  const sim::int128 one = 1;
  return {static_cast<int64_t>(((one << shift) + (one << k)) / taps), shift};
}

Multiplier tosa_reciprocal_scale(int64_t taps) {
  const int k = count_exponent(taps, int64_t{1} << 30);
  const sim::int128 numerator = ((sim::int128{1} << 30) + 1) << k;
  return {static_cast<int64_t>(numerator / taps), 30 + k};
}

}  // namespace facsim::quant
