// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/programs.h"

#include <utility>

namespace facsim::sim::programs {
namespace {

Operand arg(const char* name) { return Operand::arg(name); }
Operand constant(int64_t v) { return Operand::constant(v); }

Step shl(Operand n) { return {.kind = StepKind::shl, .a = std::move(n), .b = {}}; }
Step shr(Operand n, Rounding rounding) {
  return {.kind = StepKind::shr, .a = std::move(n), .b = {}, .rounding = rounding};
}
Step unary(StepKind kind, Operand a) { return {.kind = kind, .a = std::move(a), .b = {}}; }
Step mul(Operand a) { return unary(StepKind::mul, std::move(a)); }
Step add(Operand a) { return unary(StepKind::add, std::move(a)); }
Step sub(Operand a) { return unary(StepKind::sub, std::move(a)); }
Step resize(IntType type, Overflow overflow) {
  return {.kind = StepKind::resize, .a = {}, .b = {}, .type = type, .overflow = overflow};
}
Step clamp(StepKind kind, const char* low, const char* high) {
  return {.kind = kind, .a = arg(low), .b = arg(high)};
}
Step round(Rounding rounding) {
  return {.kind = StepKind::round, .a = {}, .b = {}, .rounding = rounding};
}

StepProgram program(std::vector<Step> steps) { return {.steps = std::move(steps)}; }

/// Saturate to the output type, clamp to the fused activation.
StepProgram saturate_and_clamp(std::vector<Step> steps, IntType output) {
  steps.push_back(resize(output, Overflow::saturate));
  steps.push_back(clamp(StepKind::clamp, "clamp_min", "clamp_max"));
  return program(std::move(steps));
}

/// The common end: add zero_point, saturate, clamp.
StepProgram to_output(std::vector<Step> steps, IntType output) {
  steps.push_back(add(arg("zero_point")));
  return saturate_and_clamp(std::move(steps), output);
}

std::vector<Step> double_rounding(Overflow left_shift_overflow) {
  return {shl(arg("left_shift")),
          resize(kInt32, left_shift_overflow),
          mul(arg("multiplier")),
          shr(constant(31), Rounding::half_up),
          resize(kInt32, Overflow::saturate),
          shr(arg("shift"), Rounding::half_away_from_zero)};
}

std::vector<Step> scaled_float(FloatBias bias, FloatScale scale) {
  std::vector<Step> steps = {unary(StepKind::to_f32, {})};
  if (bias == FloatBias::before_scale) steps.push_back(unary(StepKind::fadd, arg("bias")));
  steps.push_back(
      unary(scale == FloatScale::multiply ? StepKind::fmul : StepKind::fdiv, arg("scale")));
  if (bias == FloatBias::after_scale) steps.push_back(unary(StepKind::fadd, arg("bias")));
  return steps;
}

}  // namespace

StepProgram fixed_point_double(IntType output) {
  return to_output(double_rounding(Overflow::wrap), output);
}

StepProgram fixed_point_double_saturating(IntType output) {
  std::vector<Step> steps = double_rounding(Overflow::saturate);
  steps.push_back(add(arg("zero_point")));
  steps.push_back(resize(kInt32, Overflow::wrap));
  return saturate_and_clamp(std::move(steps), output);
}

StepProgram fixed_point_single(IntType output) {
  return to_output({mul(arg("multiplier")), shr(arg("shift"), Rounding::half_up),
                    resize(kInt32, Overflow::wrap)},
                   output);
}

StepProgram fixed_point_rounded(IntType output, Rounding rounding) {
  return to_output({mul(arg("multiplier")), shr(arg("shift"), rounding)}, output);
}

StepProgram fixed_point_int64_narrowing(IntType output) {
  return to_output(
      {mul(arg("multiplier")), shr(arg("shift"), Rounding::floor), resize(kInt32, Overflow::wrap),
       add(constant(1)), resize(kInt32, Overflow::wrap), shr(constant(1), Rounding::floor)},
      output);
}

StepProgram offset_multiply_shift(IntType output) {
  return saturate_and_clamp(
      {add(arg("zero_point_scaled")), resize(kInt32, Overflow::wrap), mul(arg("multiplier")),
       resize(kInt32, Overflow::wrap), shr(arg("shift"), Rounding::half_away_from_zero)},
      output);
}

StepProgram fixed_point_16(IntType output) {
  return to_output({shr(arg("shift"), Rounding::half_up), resize(kInt32, Overflow::saturate),
                    resize(kInt16, Overflow::saturate), mul(arg("multiplier")),
                    shr(constant(15), Rounding::half_up), resize(kInt16, Overflow::wrap)},
                   output);
}

StepProgram offset_convert(IntType output, IntType intermediate) {
  return to_output(
      {sub(arg("offset")), mul(arg("multiplier")), shr(arg("shift"), Rounding::half_away_from_zero),
       resize(intermediate, Overflow::saturate)},
      output);
}

StepProgram rounding_shift(IntType output, Rounding rounding) {
  return to_output({shl(arg("left_shift")), shr(arg("shift"), rounding)}, output);
}

StepProgram float_zero_point_after(IntType output, Rounding rounding, FloatBias bias,
                                   FloatScale scale) {
  std::vector<Step> steps = scaled_float(bias, scale);
  steps.push_back(
      clamp(StepKind::fclamp, "clamp_min_minus_zero_point", "clamp_max_minus_zero_point"));
  steps.push_back(round(rounding));
  steps.push_back(add(arg("zero_point")));
  steps.push_back(resize(output, Overflow::saturate));
  return program(std::move(steps));
}

StepProgram float_zero_point_before(IntType output, Rounding rounding, FloatBias bias,
                                    FloatScale scale) {
  std::vector<Step> steps = scaled_float(bias, scale);
  steps.push_back(unary(StepKind::fadd, arg("zero_point")));
  steps.push_back(clamp(StepKind::fclamp, "clamp_min", "clamp_max"));
  steps.push_back(round(rounding));
  steps.push_back(resize(output, Overflow::saturate));
  return program(std::move(steps));
}

StepProgram float64_zero_point_before(IntType output, Rounding rounding) {
  return program({unary(StepKind::to_f64, {}), unary(StepKind::fmul, arg("scale")),
                  unary(StepKind::fadd, arg("zero_point")),
                  clamp(StepKind::fclamp, "clamp_min", "clamp_max"), round(rounding),
                  resize(output, Overflow::saturate)});
}

}  // namespace facsim::sim::programs
