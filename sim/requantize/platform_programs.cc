// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/platform_programs.h"

#include <utility>

namespace facsim::sim::programs {
namespace {

Step with_argument(StepKind kind, const char* name) {
  return {.kind = kind, .a = Operand::arg(name), .b = {}};
}
Step shift_right_by(const char* name, Rounding rounding) {
  return {.kind = StepKind::shr, .a = Operand::arg(name), .b = {}, .rounding = rounding};
}
Step resize_to(IntType type, Overflow overflow) {
  return {.kind = StepKind::resize, .a = {}, .b = {}, .type = type, .overflow = overflow};
}
Step clamp_between(StepKind kind, Operand low, Operand high) {
  return {.kind = kind, .a = std::move(low), .b = std::move(high)};
}
Step round_by(Rounding rounding) {
  return {.kind = StepKind::round, .a = {}, .b = {}, .rounding = rounding};
}
Step clamp_to_arguments(StepKind kind) {
  return clamp_between(kind, Operand::arg("clamp_min"), Operand::arg("clamp_max"));
}

StepProgram from_integers(std::vector<Step> steps) { return {std::move(steps), false}; }

/// The same program, cut off at the output's type and the fused activation.
StepProgram clamped(std::vector<Step> steps, IntType output) {
  steps.push_back(resize_to(output, Overflow::saturate));
  steps.push_back(clamp_to_arguments(StepKind::clamp));
  return from_integers(std::move(steps));
}

std::vector<Step> nvdla_scaled(IntType width) {
  return {with_argument(StepKind::mul, "multiplier"),
          shift_right_by("shift", Rounding::half_away_from_zero),
          resize_to(width, Overflow::saturate)};
}

}  // namespace

StepProgram tosa_apply_scale_32(TosaRounding rounding) {
  std::vector<Step> steps = {
      with_argument(StepKind::shl, "headroom"), resize_to({62, true}, Overflow::error),
      shift_right_by("headroom", Rounding::floor), with_argument(StepKind::mul, "multiplier")};
  if (rounding == TosaRounding::double_round) {
    steps.push_back(shift_right_by("first_shift", Rounding::half_up));
    steps.push_back(shift_right_by("second_shift", Rounding::half_away_from_zero));
  } else {
    steps.push_back(shift_right_by("shift", Rounding::half_up));
  }
  steps.push_back(resize_to(kInt32, Overflow::error));
  return from_integers(std::move(steps));
}

StepProgram tosa_apply_scale_16() {
  return from_integers(
      {resize_to({48, true}, Overflow::error), with_argument(StepKind::mul, "multiplier"),
       shift_right_by("shift", Rounding::half_up), resize_to(kInt32, Overflow::error)});
}

StepProgram nvdla_sdp_stage(NvdlaAlu alu, NvdlaRelu relu) {
  std::vector<Step> steps;
  const Operand operand = Operand::arg("operand");
  if (alu == NvdlaAlu::add) steps.push_back({.kind = StepKind::add, .a = operand, .b = {}});
  if (alu == NvdlaAlu::max) {
    steps.push_back(clamp_between(StepKind::clamp, operand, Operand::constant(INT64_MAX)));
  }
  if (alu == NvdlaAlu::min) {
    steps.push_back(clamp_between(StepKind::clamp, Operand::constant(INT64_MIN), operand));
  }
  for (Step& step : nvdla_scaled(kInt32)) steps.push_back(std::move(step));
  if (relu == NvdlaRelu::on) {
    steps.push_back(
        clamp_between(StepKind::clamp, Operand::constant(0), Operand::constant(INT32_MAX)));
  }
  return from_integers(std::move(steps));
}

StepProgram nvdla_convert(IntType output) {
  std::vector<Step> steps = {with_argument(StepKind::sub, "offset")};
  for (Step& step : nvdla_scaled({17, true})) steps.push_back(std::move(step));
  steps.push_back(resize_to(output, Overflow::saturate));
  return from_integers(std::move(steps));
}

StepProgram nvdla_clip_truncate() {
  return from_integers({shift_right_by("clip_truncate", Rounding::half_away_from_zero),
                        resize_to(kInt32, Overflow::saturate)});
}

StepProgram ap_fixed_cast(IntType to, Rounding rounding, Overflow overflow) {
  return from_integers({shift_right_by("shift", rounding), resize_to(to, overflow)});
}

StepProgram qonnx_quant(IntType output, Rounding rounding) {
  return {{with_argument(StepKind::fdiv, "scale"), with_argument(StepKind::fadd, "zero_point"),
           clamp_to_arguments(StepKind::fclamp), round_by(rounding),
           resize_to(output, Overflow::saturate)},
          true};
}

StepProgram qonnx_trunc(QonnxTrunc version, IntType output, Rounding rounding) {
  std::vector<Step> steps = {shift_right_by("shift", rounding)};
  if (version == QonnxTrunc::v2) return clamped(std::move(steps), output);
  steps.push_back(resize_to(output, Overflow::error));
  return from_integers(std::move(steps));
}

StepProgram pulp_bn_requantize(IntType output, PulpStore store) {
  std::vector<Step> steps = {
      with_argument(StepKind::mul, "kappa"), with_argument(StepKind::add, "lambda"),
      with_argument(StepKind::mul, "multiplier"), shift_right_by("shift", Rounding::floor)};
  if (store == PulpStore::int16) steps.push_back(resize_to(kInt16, Overflow::wrap));
  return clamped(std::move(steps), output);
}

StepProgram deeploy_requant_shift(IntType output, Rounding rounding) {
  return clamped({with_argument(StepKind::mul, "multiplier"),
                  with_argument(StepKind::add, "addend"), shift_right_by("shift", rounding)},
                 output);
}

StepProgram cv18xx_multiplier_shift(IntType output) {
  return from_integers({{.kind = StepKind::to_f32, .a = {}, .b = {}},
                        with_argument(StepKind::fmul, "multiplier_f32"),
                        with_argument(StepKind::fmul, "power"),
                        round_by(Rounding::half_up),
                        resize_to(output, Overflow::saturate)});
}

StepProgram onednn_s32(OnednnBias bias) {
  std::vector<Step> steps = {{.kind = StepKind::to_f32, .a = {}, .b = {}}};
  if (bias == OnednnBias::float32) steps.push_back(with_argument(StepKind::fadd, "bias"));
  steps.push_back(round_by(Rounding::half_even));
  steps.push_back(resize_to(kInt32, Overflow::saturate));
  return from_integers(std::move(steps));
}

}  // namespace facsim::sim::programs
