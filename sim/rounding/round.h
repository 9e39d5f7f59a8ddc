// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

#include "sim/core/numeric.h"

namespace facsim::sim::rounding {

/// What a rounding mode is told about a real number x = floor(x) + f, 0 <= f < 1: each field is 1
/// if it holds and 0 if not. A mode is a struct with one function, `rounds_up(Fraction) -> 1 or 0`:
/// the result is floor(x) plus that. Everything that rounds (shifts, divisions, floats) asks that
/// one function. The truth values are integers, combined by & | ~, so that nothing branches and
/// loops vectorize.
template <class I>
struct Fraction {
  I negative;    ///< x < 0
  I floor_odd;   ///< floor(x) is odd
  I inexact;     ///< f > 0
  I half;        ///< f == 1/2: a tie
  I above_half;  ///< f > 1/2
};

/// Rounds v / 2^n by `Mode`. Integer-like v and n; n 0..width-1, exact for every v, no overflow.
template <class Mode, class I>
constexpr I shift_right(I v, I n) {
  const I zero = constant_like(v, 0);
  const I one = constant_like(v, 1);
  const I half_bit = smaller_of(n, one);  // 0 for n = 0, where no bit is shifted out
  const I low_bits = n - half_bit;
  const I twice = shift_right_floor(v, low_bits);  // floor(v / 2^(n-1)), whose last bit is the half
  const I quotient = shift_right_floor(twice, half_bit);
  const I half = twice & half_bit;
  const I rest = select(shift_left(twice, low_bits) == v, zero, one);  // any bit below the half
  return quotient + Mode::rounds_up(Fraction<I>{select(v < zero, one, zero), quotient & one,
                                                half | rest, half & ~rest, half & rest});
}

/// Rounds v / d by `Mode`; d > 0, exact for every v, no overflow.
template <class Mode, class I>
constexpr I divide(I v, I d) {
  const I zero = constant_like(v, 0);
  const I one = constant_like(v, 1);
  const I quotient = divide_floor(v, d);
  const I remainder = remainder_floor(v, d);
  const I missing = d - remainder;  // compared with it: twice the remainder could overflow
  return quotient + Mode::rounds_up(Fraction<I>{select(v < zero, one, zero), quotient & one,
                                                select(remainder > zero, one, zero),
                                                select(remainder == missing, one, zero),
                                                select(remainder > missing, one, zero)});
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

/// real<Mode>(v) as an integer of type I, for v in its range, by float operations that are all
/// exact: what kernels run. Unlike real<Mode> it needs subnormals (no flush-to-zero mode).
template <class Mode, class I, class Real>
constexpr I to_integer(Real v) {
  constexpr Real kHalf = 0.5F;
  const I truncated = static_cast<I>(v);
  const Real rest = v - static_cast<Real>(truncated);  // in (-1, 1), the sign of v
  const I quotient = truncated - (rest < 0 ? 1 : 0);
  return quotient + Mode::rounds_up(Fraction<I>{
                        select<I>(v < 0, 1, 0), quotient & 1, select<I>(rest != 0, 1, 0),
                        select<I>(rest == kHalf, 1, 0) | select<I>(rest == -kHalf, 1, 0),
                        select<I>(rest > kHalf, 1, 0) |
                            (select<I>(rest < 0, 1, 0) & select<I>(rest > -kHalf, 1, 0))});
}

}  // namespace facsim::sim::rounding
