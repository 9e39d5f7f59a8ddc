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

/// As rounding_divide_by_pot in fewer operations: floor((x + half - (x < 0)) / 2^n) with
/// half = 2^(n-1); n 1..31, x + half must fit.
template <class I>
constexpr I rounding_divide_by_pot_in_range(I x, I n, I half) {
  return shift_right_floor(x + half + sign_mask(x), n);
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
