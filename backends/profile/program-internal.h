// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "backends/profile/field-internal.h"
#include "sim/requantize/step.h"

namespace facsim::backends::detail {

/// A step program as the profile states it, for its own output type.
struct OutputProgram {
  sim::StepProgram program;
  std::vector<size_t> output_steps;  ///< resize steps that follow the output's type
};

/// Reports what is wrong at a pointer relative to the rules ("/requantize/steps/3/arg").
using Report = std::function<void(std::string pointer, std::string found, std::string expected)>;

/// The enumerators of words that the fields have checked.
sim::Rounding rounding_of(const Json& word);
sim::Overflow overflow_of(const Json& word);

/// The program of one op's effective rules (an object with the keys of rule_keys):
/// `requantize.steps` as written, or flat_program. Contradictions between the fields, and steps
/// whose types do not fit, go to `report`.
OutputProgram read_program(const Json& rules, sim::IntType output, const Report& report);

/// The flat fields lowered to steps:
///
///   every domain: [shr input.shift input.rounding] [resize input.bits input.overflow]
///                 [clamp activation_min activation_max]               integer_before_requant
///   fixed_point:  [add offset; resize input.bits accumulator.overflow]   folded_before_scale
///                 [shl left_shift; resize left_shift.bits left_shift.overflow]  before_multiply
///                 mul multiplier
///                 shr per stage (the last takes `shift`) [; resize saturate_bits saturate]
///                 [resize intermediate_bits intermediate_overflow]
///                 [add zero_point]; resize output output.overflow; clamp clamp_min clamp_max
///   shift:        shl left_shift; shr shift rounding; [add zero_point]; resize output; clamp
///   float32, float64:
///                 to_f32 [; fadd bias]; fmul scale [; fadd bias]; then
///                 fclamp clamp_*_minus_zero_point; round; add zero_point; resize output
///                 (before_rounding: fadd zero_point; fclamp clamp_*; round; resize output;
///                 float.clamp after_round: no fclamp, and a clamp at the end);
///                 input_weight_then_output: fmul accumulator_scale [; fadd bias]
///                 [; fclamp activation_*]; fdiv output_scale;
///                 fma: fmul with the bias or the zero point as second operand
///   threshold, lut: only the resize; layers without a named algorithm are refused
OutputProgram flat_program(const Json& rules, sim::IntType output, const Report& report);

}  // namespace facsim::backends::detail
