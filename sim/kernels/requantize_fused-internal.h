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
    fixed_single,     ///< mul, shr half_up; where high_half holds also floor, or shr 32 floor first
    rounding_shift,   ///< [shl] shr by `rounding`
    float_half_even,  ///< to_f32, steps of a FloatShape, fclamp, round half_even
    float_half_away,  ///< the same, round half_away_from_zero
  };
  /// The steps between to_f32 and the last fclamp, which the first five leave to the end, in
  /// integers.
  enum class FloatShape {
    scale,               ///< fmul
    scale_bias,          ///< fmul, fadd
    bias_scale,          ///< fadd, fmul
    bias_scale_bias,     ///< fadd, fmul, fadd
    bias_scale_biases,   ///< [fadd] fmul [fadd] fadd
    scale_clamp_scale,   ///< [fadd] fmul [fadd] [fclamp] [fmul] [fadd] [fadd]
    scale_clamp_divide,  ///< [fadd] [fmul] [fadd] [fclamp] fdiv [fadd] [fadd]
  };

  Form form = Form::fixed_double;
  DType output = DType::int8;  ///< int8, uint8 or int16
  int64_t operand_mask = -1;   ///< 0 per tensor: every vector's operands are those at element 0

  /// Double: shifted accumulators within [-2^30, 2^30), no negative multiplier, shifts of at least
  /// 1; left_shift counts the doubling of the product. Single: shifts of at least 32; shift is less
  /// 32. The nudges are the halves of what is added to the product.
  bool high_half = false;
  bool shifts_left = false;             ///< some left shift is not 0
  ExpandedOperand<int32_t> left_shift;  ///< not of fixed_single
  ExpandedOperand<int32_t> multiplier;
  ExpandedOperand<int32_t> shift;  ///< fixed_single without high_half: less one
  ExpandedOperand<int32_t> nudge_high, nudge_low;
  Rounding rounding = Rounding::half_up;  ///< of rounding_shift
  /// rounding_shift by half_up, floor or half_even where the half can be added to the accumulator:
  /// nudge_low is what is added, odd_mask 1 where a half_even shift has bits to round.
  bool nudged = false;
  ExpandedOperand<int32_t> odd_mask;

  FloatShape shape = FloatShape::scale;
  /// Absent additions are of -0, absent multiplications by 1, which change nothing; an absent
  /// fclamp is to the infinities.
  ExpandedOperand<float> bias_before, scale, bias_after, middle_min, middle_max, second_scale,
      bias_last, bias_end, real_min, real_max;

  /// The end of every form: add, clamp. The sum is proved to fit int32.
  ExpandedOperand<int32_t> zero_point, clamp_min, clamp_max;
  /// 8 bits, the three are those of every channel, zero_point within +-2^14, the bounds in order.
  bool uniform_end = false;
};

std::string_view to_string(FusedProgram::Form form);

/// Recognizes the steps of a fused form. `input` is the range of the accumulators, `ranges` what
/// infer_ranges says of it.
std::optional<FusedProgram> match_fused(const Requantizer& requantizer, const ValueRange& input,
                                        const std::vector<ValueRange>& ranges);

/// Runs a job; returns the Highway target that ran. The float forms need FloatMode around it.
using FusedKernel = int64_t (*)(const FusedProgram&, const RequantizeJob<int32_t>&);
/// The kernel for the program and others that differ in their operands only.
FusedKernel requantize_fused(const FusedProgram& program, size_t dispatch_index);

FusedKernel requantize_fixed_double(const FusedProgram& program, size_t dispatch_index);
FusedKernel requantize_fixed_single(const FusedProgram& program, size_t dispatch_index);
FusedKernel requantize_rounding_shift(const FusedProgram& program, size_t dispatch_index);
FusedKernel requantize_float(const FusedProgram& program, size_t dispatch_index);

}  // namespace facsim::sim
