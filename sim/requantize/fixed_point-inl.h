// SPDX-License-Identifier: Apache-2.0
// The fixed-point primitives of gemmlowp and TFLite over 32-bit integer-likes, in the forms that
// are fast on SIMD lanes. What they mean is said by step programs (programs.h); tests compare the
// two.
//
// No include guard: the text is included once per integer-like, because Highway's operations may
// only be called from functions compiled for their target. sim/requantize/fixed_point.h includes it
// for plain integers, sim/kernels/lanes-inl.h for the lanes of each target.

namespace fixed_point {

/// a * b / 2^31 rounded half_up: floor((a * b + 2^30) / 2^31).
/// Any a, b but both INT32_MIN, whose result 2^31 has no int32.
template <class I>
constexpr I rounding_doubling_high_mul(I a, I b) {
  const auto product = widen(a) * widen(b);
  return narrow_right<31>(product + constant_like(product, int64_t{1} << 30));
}

/// As rounding_doubling_high_mul for any a, b; INT32_MIN * INT32_MIN saturates to INT32_MAX.
/// Equals Arm SQRDMULH. Source: gemmlowp fixedpoint.h SaturatingRoundingDoublingHighMul.
template <class I>
constexpr I saturating_rounding_doubling_high_mul(I a, I b) {
  const I min = constant_like(a, INT32_MIN);
  return select(a == min && b == min, constant_like(a, INT32_MAX),
                rounding_doubling_high_mul(a, b));
}

/// x / 2^n rounded half_away_from_zero; any x, n 0..31.
/// Source: gemmlowp fixedpoint.h RoundingDivideByPOT.
template <class I>
constexpr I rounding_divide_by_pot(I x, I n) {
  const I one = constant_like(x, 1);
  const I mask = low_mask(n);
  const I threshold = shift_right_floor(mask, one) - sign_mask(x);
  return shift_right_floor(x, n) + select((x & mask) > threshold, one, constant_like(x, 0));
}

/// x * multiplier / 2^(n_minus_one + 1) rounded half_up once, the low 32 bits of it; any x and
/// multiplier, n_minus_one 0..62. Shifting in two stages loses nothing:
/// floor((floor(p / 2^(n-1)) + 1) / 2) = floor((p + 2^(n-1)) / 2^n), and no sum can overflow.
/// Source: TFLite MultiplyByQuantizedMultiplier with TFLITE_SINGLE_ROUNDING, ruy, TOSA apply_scale.
template <class I>
constexpr I multiply_by_quantized_multiplier_single(I x, I multiplier, I n_minus_one) {
  const auto product = widen(x) * widen(multiplier);
  const auto doubled = shift_right_floor(product, widen(n_minus_one));
  return narrow_right<1>(doubled + constant_like(doubled, 1));
}

/// floor((x + nudge) / 2^n): x / 2^n rounded half_up with nudge = 2^(n-1) (0 for n = 0), or by
/// floor with 0; n 0..31, x + nudge must fit.
template <class I>
constexpr I shift_nudged(I x, I n, I nudge) {
  return shift_right_floor(x + nudge, n);
}

/// x / 2^n rounded half_even: what is just short of a half is added, and 1 more where floor(x /
/// 2^n) is odd:
///   floor((x + below_half + (floor(x / 2^n) & odd_mask)) / 2^n)
/// n 1..31 with below_half = 2^(n-1) - 1 and odd_mask = 1, or all three 0; x + 2^(n-1) must fit.
template <class I>
constexpr I shift_half_even(I x, I n, I below_half, I odd_mask) {
  return shift_right_floor(x + below_half + (shift_right_floor(x, n) & odd_mask), n);
}

/// x * multiplier / 2^31 rounded half_up, divided by 2^n rounded half_away_from_zero, from twice
/// the product, both halves added to it at once:
///   floor((floor((twice_product + nudge) / 2^32) - (x < 0)) / 2^n), nudge = 2^31 + 2^(n-1) * 2^32
/// -2^30 <= x < 2^30, multiplier >= 0, n 1..31: nothing overflows. The norm subtracts 1 where what
/// it rounded first is negative: that differs from x < 0 only where it is 0, and
/// floor((2^(n-1) - 1) / 2^n) is 0 as well.
template <class I, class Wide>
constexpr I divide_doubling_high_product(Wide twice_product, Wide nudge, I x, I n) {
  return shift_right_floor(narrow_right<32>(twice_product + nudge) + sign_mask(x), n);
}

/// product / 2^(n_minus_32 + 32) rounded half_up, in 32 bits from the high half of the product:
///   floor(floor((product + nudge) / 2^32) / 2^n_minus_32), nudge = 2^(n_minus_32 + 31)
/// n_minus_32 0..30, |product| <= 2^62.
template <class I, class Wide>
constexpr I shift_high_product(Wide product, Wide nudge, I n_minus_32) {
  return shift_right_floor(narrow_right<32>(product + nudge), n_minus_32);
}

/// The low 32 bits of x * 2^left_shift, times multiplier / 2^31 rounded half_up, divided by
/// 2^right_shift rounded half_away_from_zero; shifts 0..31.
/// Source: TFLite MultiplyByQuantizedMultiplier, CMSIS-NN arm_nn_requantize.
template <class I>
constexpr I multiply_by_quantized_multiplier_double(I x, I multiplier, I left_shift,
                                                    I right_shift) {
  return rounding_divide_by_pot(
      saturating_rounding_doubling_high_mul(shift_left(x, left_shift), multiplier), right_shift);
}

}  // namespace fixed_point
