// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/core/types.h"
#include "sim/requantize/step.h"

/// Units of particular accelerators as step programs. Arguments by name, each one per tensor or one
/// per channel, integers unless a program says float32.
namespace facsim::sim::programs {

/// TOSA's two rounding modes of RESCALE that have one meaning.
enum class TosaRounding {
  single_round,  ///< (v * multiplier + 2^(shift-1)) >> shift
  double_round,  ///< the same with 2^30 more, or for v < 0 less, in the sum when shift > 31
};

/// TOSA apply_scale_32: v * multiplier / 2^shift to int32, where shift = first_shift +
/// second_shift, 2..62, second_shift > 0 only when first_shift is 31, and headroom = 62 - shift.
/// double_round is half_up at 31 bits, then half_away_from_zero; single_round half_up at once.
///
/// Error bad_value (the model's own) for v outside -2^(shift-1)..2^(shift-1)-1, which the steps
/// with `headroom` find, and for a result outside int32. Source: TOSA reference model quant_util.h
/// apply_scale_32.
StepProgram tosa_apply_scale_32(TosaRounding rounding);

/// TOSA apply_scale_16: a 48-bit v times a 16-bit multiplier, one half_up shift of `shift` (2..62).
/// Error bad_value for v outside 48 bits or a result outside int32.
StepProgram tosa_apply_scale_16();

/// What NVDLA's SDP computes before its multiplier.
enum class NvdlaAlu { none, add, max, min };

enum class NvdlaRelu { off, on };

/// One SDP stage (X1, X2 or Y) in front of the output converter:
///   a = v + operand, max(v, operand) or min(v, operand)
///   r = sat32(a * multiplier / 2^shift), half_away_from_zero
/// `operand` is the register's int16 or int32 already shifted left by the stage's operand shift;
/// multiplier int16; shift 0..62. With `relu` clamped at 0 last (X1, X2).
/// Source: NVDLA cmod SDP, HLS templates nvdla_int.h IntShiftRight<49, 6, 32>.
StepProgram nvdla_sdp_stage(NvdlaAlu alu, NvdlaRelu relu);

/// NVDLA's converters, also the one that feeds CDMA: sat_output(sat17((v - offset) * multiplier /
/// 2^shift)), half_away_from_zero. Source: as above, IntShiftRightSat<49, 6, 17>.
StepProgram nvdla_convert(IntType output);

/// CACC's last step: v / 2^clip_truncate (0..16), half_away_from_zero, saturated to 32 bits.
/// Source: NV_NVDLA_CACC_CALC_int8.v.
StepProgram nvdla_clip_truncate();

/// A conversion between fixed-point types: v / 2^shift by `rounding`, then `overflow` into `to`,
/// where shift = fraction bits of the source less those of the target. Vivado's names: AP_RND
/// half_up, AP_RND_ZERO half_toward_zero, AP_RND_MIN_INF half_down, AP_RND_INF half_away_from_zero,
/// AP_RND_CONV half_even, AP_TRN floor, AP_TRN_ZERO toward_zero; AP_SAT saturate, AP_SAT_ZERO
/// saturate_zero, AP_SAT_SYM saturate_symmetric, AP_WRAP wrap.
/// Source: Vivado HLS ap_fixed; hls4ml ap_types.
StepProgram ap_fixed_cast(IntType to, Rounding rounding, Overflow overflow);

/// qonnx Quant, from float32: min(max(v / scale + zero_point, clamp_min), clamp_max), then rounded;
/// all arguments float32. The clamp comes before the rounding. qonnx's names: ROUND and HALF_EVEN
/// half_even, CEIL ceil, FLOOR floor, UP away_from_zero, DOWN toward_zero, HALF_UP
/// half_away_from_zero, HALF_DOWN half_toward_zero (of -0.5: -1 by HALF_UP, 0 by our half_up).
/// Source: qonnx custom_op/general/intquant.py int_quant.
StepProgram qonnx_quant(IntType output, Rounding rounding);

enum class QonnxTrunc { v1, v2 };

/// qonnx Trunc: the low `shift` bits of a code rounded away, with `clamp` (version 2) into
/// clamp_min..clamp_max.
/// Source: qonnx custom_op/general/trunc.py trunc_v1, trunc_v2.
StepProgram qonnx_trunc(QonnxTrunc version, IntType output, Rounding rounding);

enum class PulpStore { wide, int16 };

/// Integer batch normalization and requantization: ((kappa * v + lambda) * multiplier) >> shift,
/// floor; brought into 16 bits by `store`, then clamped. pulp-nn stores the shifted value as int16
/// before it clips (`wrap`): 40000 becomes -25536 and then 0.
/// Source: NEMO PACT_IntegerBatchNormNd and PACT_IntegerAct; pulp-nn pulp_nn_bn_quant_u8.
StepProgram pulp_bn_requantize(IntType output, PulpStore store);

/// Deeploy RequantShift: (v * multiplier + addend) / 2^shift, floor or half_up, clamped.
StepProgram deeploy_requant_shift(IntType output, Rounding rounding);

/// TPU-MLIR's CV18xx multiplier with a shift, in float32: f32(v) * multiplier_f32 * 2^-shift,
/// half_up; `multiplier_f32` and the power of two `power` are float32. -348966093 * 90 >> 29 is -58
/// here and -59 in integers.
/// Source: TPU-MLIR MathUtils.cpp, applyMultiplierAndRShift for CV18xx.
StepProgram cv18xx_multiplier_shift(IntType output);

enum class OnednnBias { none, float32 };

/// oneDNN's s32 results: f32(acc) (+ f32 bias), half_even, saturated to int32. 16777217 becomes
/// 16777216.
StepProgram onednn_s32(OnednnBias bias);

}  // namespace facsim::sim::programs
