// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

#include "sim/core/numeric.h"
#include "sim/requantize/fixed_point.h"

/// The fixed-point transcendental functions of gemmlowp over 32-bit integer-likes, on raw values:
/// a Qm number has m integer bits and 31 - m fraction bits, real = raw * 2^(m - 31). Q0 has no 1;
/// its largest value stands for it. The product of a Qm and a Qn is a Q(m+n), rounded half_up.
///
/// Source: gemmlowp fixedpoint/fixedpoint.h (Debian 0.0~git20211220); TFLite and CMSIS-NN compute
/// sigmoid, tanh and softmax of 8-bit codes with them.
namespace facsim::sim::gemmlowp {

/// 1 in Q0, less one step.
template <class I>
constexpr I one_in_q0(I like) {
  return constant_like(like, INT32_MAX);
}

/// a * b / 2^31 rounded half_up, saturating.
template <class I>
constexpr I multiply(I a, I b) {
  return fixed_point::saturating_rounding_doubling_high_mul(a, b);
}
template <class I>
constexpr I multiply_by(I a, int64_t constant) {
  return multiply(a, constant_like(a, constant));
}

/// x * 2^Exponent: to the left saturating, to the right rounded half_away_from_zero; Exponent
/// -31..30.
template <int Exponent, class I>
constexpr I multiply_by_pot(I x) {
  if constexpr (Exponent > 0) {
    const I limit = constant_like(x, (int64_t{1} << (31 - Exponent)) - 1);
    const I shifted = shift_left(x, constant_like(x, Exponent));
    const I raised = select(x > limit, constant_like(x, INT32_MAX), shifted);
    return select(x < constant_like(x, 0) - limit, constant_like(x, INT32_MIN), raised);
  } else if constexpr (Exponent < 0) {
    return fixed_point::rounding_divide_by_pot(x, constant_like(x, -Exponent));
  } else {
    return x;
  }
}

/// The same real number with To integer bits instead of From.
template <int From, int To, class I>
constexpr I rescale(I x) {
  return multiply_by_pot<From - To>(x);
}

/// (a + b) / 2 rounded half_away_from_zero; any a, b.
template <class I>
constexpr I rounding_half_sum(I a, I b) {
  const auto sum = widen(a) + widen(b);
  return narrow(fixed_point::rounding_divide_by_pot(sum, constant_like(sum, 1)));
}

/// exp(a) in Q0 for a Q0 in [-1/4, 0): Taylor's series around -1/8 to the fourth power.
template <class I>
constexpr I exp_in_quarter(I a) {
  const I exp_minus_eighth = constant_like(a, 1895147668);  // exp(-1/8)
  const I x = a + constant_like(a, int64_t{1} << 28);       // a + 1/8
  const I x2 = multiply(x, x);
  const I x3 = multiply(x2, x);
  const I x4 = multiply(x2, x2);
  // x4/24 + x3/6 + x2/2, the third by its Q0 715827883
  const I tail =
      multiply_by_pot<-1>(multiply_by(multiply_by_pot<-2>(x4) + x3, int64_t{715827883}) + x2);
  return exp_minus_eighth + multiply(exp_minus_eighth, x + tail);
}

/// exp(a) in Q0 for a Qm <= 0 with m = IntegerBits 0..5: the part below 1/4 by exp_in_quarter, then
/// one factor exp(-2^e) per set bit of the rest. exp(0) is the largest Q0.
template <int IntegerBits, class I>
constexpr I exp_of_negative(I a) {
  static_assert(IntegerBits >= 0 && IntegerBits <= 5);
  constexpr int kFractionBits = 31 - IntegerBits;
  const I quarter = constant_like(a, int64_t{1} << (kFractionBits - 2));
  const I below_quarter = (a & (quarter - constant_like(a, 1))) - quarter;
  const I rest = below_quarter - a;
  I result = exp_in_quarter(rescale<IntegerBits, 0>(below_quarter));
  const auto factor = [&]<int Exponent>(int64_t exp_of_minus_power) {
    if constexpr (IntegerBits > Exponent) {
      const I bit = constant_like(a, int64_t{1} << (kFractionBits + Exponent));
      result = select((rest & bit) == bit, multiply_by(result, exp_of_minus_power), result);
    }
  };
  factor.template operator()<-2>(1672461947);  // exp(-1/4) in Q0
  factor.template operator()<-1>(1302514674);  // exp(-1/2)
  factor.template operator()<0>(790015084);    // exp(-1)
  factor.template operator()<1>(290630308);    // exp(-2)
  factor.template operator()<2>(39332535);     // exp(-4)
  factor.template operator()<3>(720401);       // exp(-8)
  factor.template operator()<4>(242);          // exp(-16)
  return select(a == constant_like(a, 0), one_in_q0(a), result);
}

/// 2 / (1 + a) in Q2 for a Q0 in [0, 1]: Newton-Raphson from 48/17 - 32/17 d, d = (1 + a) / 2,
/// three steps.
template <class I>
constexpr I twice_reciprocal_of_one_plus(I a) {
  const I d = rounding_half_sum(a, one_in_q0(a));
  const I one_in_q2 = constant_like(a, int64_t{1} << 29);
  I x = constant_like(a, 1515870810) + multiply_by(d, int64_t{-1010580540});
  for (int step = 0; step < 3; ++step) {
    const I correction = multiply(x, one_in_q2 - multiply(d, x));  // Q4
    x = x + rescale<4, 2>(correction);
  }
  return x;
}

/// 1 / (1 + a) in Q0 for a Q0 in [0, 1].
template <class I>
constexpr I one_over_one_plus(I a) {
  return multiply_by_pot<1>(twice_reciprocal_of_one_plus(a));  // half of a Q2 is that raw as Q1
}

/// (1 - a) / (1 + a) in Q0 for a Q0 in [0, 1].
template <class I>
constexpr I one_minus_over_one_plus(I a) {
  return rescale<2, 0>(twice_reciprocal_of_one_plus(a) - constant_like(a, int64_t{1} << 29));
}

/// 1 / (1 + exp(-a)) in Q0 for a Qm, m = IntegerBits; a > INT32_MIN.
template <int IntegerBits, class I>
constexpr I logistic(I a) {
  const I zero = constant_like(a, 0);
  const I positive = one_over_one_plus(exp_of_negative<IntegerBits>(select(a > zero, zero - a, a)));
  const I half = constant_like(a, int64_t{1} << 30);
  const I signed_result = select(a > zero, positive, one_in_q0(a) - positive);
  return select(a == zero, half, signed_result);
}

/// tanh(a) in Q0 for a Qm, m = IntegerBits 0..4; a > INT32_MIN.
template <int IntegerBits, class I>
constexpr I tanh(I a) {
  const I zero = constant_like(a, 0);
  const I negative_magnitude = select(a > zero, zero - a, a);  // as Q(m+1): twice the number
  const I magnitude = one_minus_over_one_plus(exp_of_negative<IntegerBits + 1>(negative_magnitude));
  return select(a == zero, zero, select(a > zero, magnitude, zero - magnitude));
}

/// 1 / x of a positive number as a significand and a power of two.
struct Reciprocal {
  int32_t significand;  ///< Q0 in [1/2, 1]
  int bits_over_unit;   ///< 1 / x = significand * 2^-bits_over_unit
};
/// x > 0 with integer_bits integer bits.
/// Source: TFLite common.h GetReciprocal.
constexpr Reciprocal reciprocal(int32_t x, int integer_bits) {
  const int headroom_plus_one = std::countl_zero(static_cast<uint32_t>(x));
  const int64_t shifted_minus_one =
      (static_cast<int64_t>(x) << headroom_plus_one) - (int64_t{1} << 31);
  return {one_over_one_plus(static_cast<int32_t>(shifted_minus_one)),
          integer_bits - headroom_plus_one};
}

}  // namespace facsim::sim::gemmlowp
