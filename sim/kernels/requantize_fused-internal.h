// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/kernels/requantize_plan-internal.h"
#include "sim/requantize/range.h"
#include "sim/requantize/requantizer.h"

namespace facsim::sim {

/// A program that one of the fused kernels computes, with its operands in the kernel's types. Every
/// intermediate is proved to fit the kernel's lanes, so that the steps that would saturate on the
/// way (but for the output) change nothing.
struct FusedProgram {
  enum class Form {
    fixed_double,     ///< [shl] mul, shr 31 half_up, shr half_away_from_zero
    fixed_single,     ///< mul, shr half_up
    rounding_shift,   ///< [shl] shr by `rounding`
    float_half_even,  ///< to_f32, [fadd] fmul or fdiv, [fadd]…, fclamp, round half_even
  };
  /// Where float32 operands are added; FloatShape::divide has none.
  enum class FloatShape { scale, bias_scale, scale_bias, bias_scale_bias, scale_bias_bias, divide };

  Form form = Form::fixed_double;
  DType output = DType::int8;  ///< int8, uint8 or int16

  ExpandedOperand<int32_t> left_shift;  ///< empty: none
  ExpandedOperand<int32_t> multiplier;
  ExpandedOperand<int32_t> shift;  ///< fixed_single: less one
  ExpandedOperand<int32_t> half;   ///< fixed_double: 2^(shift-1) if adding it cannot overflow
  Rounding rounding = Rounding::half_up;
  ExpandedOperand<int32_t> zero_point, clamp_min, clamp_max;

  FloatShape shape = FloatShape::scale;
  ExpandedOperand<float> bias_before, scale, bias_after, bias_last, real_min, real_max;
  /// zero_point minus the bits of kRoundingMagic.
  ExpandedOperand<int32_t> zero_point_minus_magic;
};

std::string_view to_string(FusedProgram::Form form);

/// 1.5 * 2^23: added to a float32 in [-2^22, 2^22] it leaves the value, rounded half_even, in the
/// low bits of the sum (XNNPACK's fmagic).
inline constexpr float kRoundingMagic = 12582912.0F;
inline constexpr float kRoundingMagicLimit = 4194304.0F;

/// Recognizes the steps of a fused form. `input` is the range of the accumulators, `ranges` what
/// infer_ranges says of it.
std::optional<FusedProgram> match_fused(const Requantizer& requantizer, const ValueRange& input,
                                        const std::vector<ValueRange>& ranges);

using FusedKernel = int64_t (*)(const FusedProgram&, const RequantizeJob<int32_t>&);
/// The kernel of the program's form; it returns the Highway target that ran.
FusedKernel requantize_fused(FusedProgram::Form form, size_t dispatch_index);

FusedKernel requantize_rounding_shift(size_t dispatch_index);

}  // namespace facsim::sim
