// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

#include "sim/core/numeric.h"

namespace facsim::sim::rounding {

/// What a rounding mode is told about a real number x = floor(x) + f, 0 <= f < 1. A mode is a
/// struct with one function, `rounds_up(Fraction) -> condition`: the result is floor(x) + 1 if it
/// holds and floor(x) otherwise. Everything that rounds (shifts, divisions, floats) asks that one
/// function.
template <class Condition>
struct Fraction {
  Condition negative;    ///< x < 0
  Condition floor_odd;   ///< floor(x) is odd
  Condition inexact;     ///< f > 0
  Condition half;        ///< f == 1/2: a tie
  Condition above_half;  ///< f > 1/2
};

/// Rounds v / 2^n by `Mode`. Integer-like v and n; n 0..width-1, exact for every v, no overflow.
template <class Mode, class I>
constexpr I shift_right(I v, I n) {
  const I zero = constant_like(v, 0);
  const I one = constant_like(v, 1);
  const I quotient = shift_right_floor(v, n);
  const I mask = low_mask(n);
  const I remainder = v & mask;
  const I half =
      shift_right_floor(mask, one) + one;  // n = 0: 1, which the remainder 0 never reaches
  const auto up = Mode::rounds_up(Fraction<decltype(v < zero)>{
      v<zero, (quotient & one) == one, remainder> zero, remainder == half, remainder > half});
  return quotient + select(up, one, zero);
}

/// Rounds v / d by `Mode`; d > 0, exact for every v, no overflow.
template <class Mode, class I>
constexpr I divide(I v, I d) {
  const I zero = constant_like(v, 0);
  const I one = constant_like(v, 1);
  const I quotient = divide_floor(v, d);
  const I remainder = v - quotient * d;
  const I rest = d - remainder;  // remainder against rest: twice the remainder could overflow
  const auto up = Mode::rounds_up(Fraction<decltype(v < zero)>{
      v<zero, (quotient & one) == one, remainder> zero, remainder == rest, remainder > rest});
  return quotient + select(up, one, zero);
}

/// Rounds a real to an integral value of the same type by `Mode`; NaN, infinities and values
/// without fraction bits return unchanged, a zero result keeps the sign of v.
///
/// A float64 is a 53-bit integer times 2^e, so its rounding is that of an integer shift: no
/// floating-point operation takes part and the caller's rounding or flush-to-zero mode cannot
/// matter.
template <class Mode>
constexpr double real(double v) {
  const auto bits = std::bit_cast<uint64_t>(v);
  const auto biased_exponent = static_cast<int64_t>(bits >> 52 & 0x7FF);
  const int64_t fraction_bits = 1075 - biased_exponent;  // v = mantissa / 2^fraction_bits
  if (fraction_bits <= 0) return v;
  const uint64_t implicit_one = biased_exponent > 0 ? uint64_t{1} << 52 : 0;
  const auto magnitude = static_cast<int64_t>((bits & 0xF'FFFF'FFFF'FFFF) | implicit_one);
  const bool negative = bits >> 63 != 0;
  // |v| < 1/4 from 55 fraction bits on: only its sign and that it is not 0 still count.
  const int64_t rounded =
      shift_right<Mode>(negative ? -magnitude : magnitude, smaller_of(fraction_bits, int64_t{62}));
  if (rounded == 0) return negative ? -0.0 : 0.0;
  return static_cast<double>(rounded);
}

template <class Mode>
constexpr float real(float v) {
  // Widened by hand where the conversion would lose something: a signaling NaN, or a subnormal that
  // a flush-to-zero mode would drop.
  const auto bits = std::bit_cast<uint32_t>(v);
  const auto biased_exponent = bits >> 23 & 0xFF;
  if (biased_exponent == 0xFF) return v;
  if (biased_exponent == 0) {
    const bool negative = bits >> 31 != 0;
    const double same_class = (bits & 0x7F'FFFF) == 0 ? 0.0 : 0.125;
    return static_cast<float>(real<Mode>(negative ? -same_class : same_class));
  }
  return static_cast<float>(real<Mode>(static_cast<double>(v)));
}

/// real<Mode>(v) as an integer for |v| < 2^63, by float operations that are all exact: what kernels
/// run. Unlike real<Mode> it needs subnormals (no flush-to-zero mode).
template <class Mode>
constexpr int64_t to_integer(float v) {
  const auto truncated = static_cast<int64_t>(v);
  const float rest = v - static_cast<float>(truncated);  // in (-1, 1), the sign of v
  const int64_t quotient = truncated - (rest < 0 ? 1 : 0);
  const bool up = Mode::rounds_up(Fraction<bool>{v < 0, (quotient & 1) == 1, rest != 0,
                                                 rest == 0.5F || rest == -0.5F,
                                                 rest > 0.5F || (rest < 0 && rest > -0.5F)});
  return quotient + (up ? 1 : 0);
}

}  // namespace facsim::sim::rounding
