// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/core/types.h"
#include "sim/requantize/step.h"

/// The requantizations of known platforms as step programs: accumulator -> output codes.
///
/// Arguments by name, each one per tensor or one per channel: `multiplier` (integer), `shift`
/// (right shift >= 0), `left_shift` (>= 0), `zero_point`, `clamp_min`, `clamp_max` (output codes);
/// the float programs take `scale` and, where they say so, float32 versions of the others. Real
/// multiplier: as each program states.
///
/// Every program ends in output codes: add zero_point, resize to `output` saturating, clamp to
/// clamp_min..clamp_max (the fused activation); the float programs clamp where their platform does.
namespace facsim::sim::programs {

/// Two roundings, TFLite and CMSIS-NN default:
///   x = wrap32(acc * 2^left_shift)
///   h = sat32((x * multiplier + 2^30) >> 31)        half_up
///   y = h / 2^shift                                  half_away_from_zero
/// multiplier is Q31; real = multiplier * 2^(left_shift - shift - 31).
/// Source: TFLite common.h MultiplyByQuantizedMultiplier, gemmlowp
/// SaturatingRoundingDoublingHighMul and RoundingDivideByPOT.
StepProgram fixed_point_double(IntType output);

/// As fixed_point_double, but the left shift saturates to 32 bits instead of wrapping, and the sum
/// with zero_point wraps to 32 bits before it saturates to the output. Source: gemmlowp
/// OutputStageScaleInt32ByFixedPointAndExponent.
StepProgram fixed_point_double_saturating(IntType output);

/// One rounding: y = wrap32((acc * multiplier + 2^(shift-1)) >> shift), half_up; `shift` is the
/// whole right shift (TFLite: 31 - exponent), 0..62; real = multiplier * 2^-shift. Source: TFLite
/// with TFLITE_SINGLE_ROUNDING, ruy apply_multiplier, TOSA apply_scale_32 without double_round,
/// XNNPACK rndnu (24-bit multiplier); with a 16-bit multiplier and shift = 15 - exponent TFLite's
/// MultiplyByQuantizedMultiplier(int64_t, …) of 16x8 networks.
StepProgram fixed_point_single(IntType output);

/// One rounding of any mode: y = acc * multiplier / 2^shift rounded, then saturated to the output
/// with the zero point. Source: the common form of fixed-point hardware.
StepProgram fixed_point_rounded(IntType output, Rounding rounding);

/// As fixed_point_single, but narrowed to 32 bits one bit early:
/// y = wrap32(wrap32((acc * multiplier) >> shift) + 1) >> 1; CMSIS-NN: shift = 14 - exponent.
/// Source: CMSIS-NN arm_nn_requantize_s64.
StepProgram fixed_point_int64_narrowing(IntType output);

/// Offset before the multiplication: y = wrap32(wrap32(acc + zero_point_scaled) * multiplier) /
/// 2^shift, half_away_from_zero; the zero point is folded into the integer argument
/// `zero_point_scaled`. Source: gemmlowp OutputStageQuantizeDownInt32ToUint8Scale (result_offset).
StepProgram offset_multiply_shift(IntType output);

/// 16-bit two-stage scaling:
///   h = sat16(sat32(acc / 2^shift))       half_up
///   y = wrap16((h * multiplier + 2^14) >> 15)
/// Source: XNNPACK rndnu16.
StepProgram fixed_point_16(IntType output);

/// Converter with an offset: y = sat((acc - offset) * multiplier / 2^shift), half_away_from_zero,
/// saturated to `intermediate` before the zero point. Source: NVDLA SDP output converter (17 bits)
/// and its 32-bit per-layer variants.
StepProgram offset_convert(IntType output, IntType intermediate);

/// Rounding shift by a power of two: y = acc * 2^left_shift / 2^shift rounded by `rounding`.
/// Source: Vitis AI DPU (half_up), other power-of-two accelerators.
StepProgram rounding_shift(IntType output, Rounding rounding);

/// How a float32 bias enters.
enum class FloatBias {
  none,          ///< the bias is an integer, already in the accumulator
  before_scale,  ///< (f32(acc) + bias) * scale
  after_scale,   ///< f32(acc) * scale + bias
};

/// How f32(acc) meets `scale`.
enum class FloatScale {
  multiply,  ///< f32(acc) * scale
  divide,    ///< f32(acc) / scale
};

/// Float32 scale, zero point added as an integer after the rounding, clamp before it:
///   r = f32(acc) * scale  (bias as `bias` says)
///   y = round(min(max(r, clamp_min_minus_zero_point), clamp_max_minus_zero_point)) + zero_point
/// The two clamp arguments are float32. Source: XNNPACK fp32, ONNX Runtime mlas
/// MlasRequantizeOutput, QNNPACK (`rounding` half_even).
StepProgram float_zero_point_after(IntType output, Rounding rounding, FloatBias bias,
                                   FloatScale scale);

/// Float32 scale, zero point added in float32 before the rounding:
///   r = f32(acc) * scale + zero_point  (bias as `bias` says)
///   y = round(min(max(r, clamp_min), clamp_max))
/// zero_point, clamp_min and clamp_max are float32. Source: oneDNN (zero point as post-op in
/// float32), ONNX reference evaluator.
StepProgram float_zero_point_before(IntType output, Rounding rounding, FloatBias bias,
                                    FloatScale scale);

/// As float_zero_point_before without bias, in float64: r = f64(acc) * scale + zero_point, one
/// float64 rounding each; scale, zero_point and the clamp bounds are float32. Source: the ONNX
/// reference evaluator, op_qlinear_conv.py and op_qlinear_matmul.py (numpy makes int32 times
/// float32 a float64).
StepProgram float64_zero_point_before(IntType output, Rounding rounding);

}  // namespace facsim::sim::programs
