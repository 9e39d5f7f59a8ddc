// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "backends/lower/requantize-internal.h"

namespace facsim::backends::detail {

namespace {

using sim::Operand;
using sim::Step;
using sim::StepKind;

std::vector<float> in_float32(const std::vector<int64_t>& values) {
  return {values.begin(), values.end()};
}

}  // namespace

sim::Requantizer quantizer(const quant::TensorSpec& spec, const quant::QParams& output) {
  using Spec = quant::TensorSpec;
  sim::Arguments arguments;
  std::vector<Step> steps;
  arguments.reals["scale"] = output.scale;
  if (spec.formula == Spec::Formula::division) {
    steps.push_back(make_step(StepKind::fdiv, Operand::arg("scale")));
  } else {
    for (float& scale : arguments.reals["scale"]) scale = 1.0f / scale;
    steps.push_back(make_step(StepKind::fmul, Operand::arg("scale")));
  }
  const bool before = spec.zero_point_add == Spec::ZeroPointAdd::before_rounding;
  std::vector<int64_t> low, high;
  for (const int64_t zero_point : output.zero_point) {
    low.push_back(output.quant_min - (before ? 0 : zero_point));
    high.push_back(output.quant_max - (before ? 0 : zero_point));
  }
  if (before) {
    arguments.reals["zero_point"] = in_float32(output.zero_point);
    steps.push_back(make_step(StepKind::fadd, Operand::arg("zero_point")));
  }
  arguments.reals["low"] = in_float32(low);
  arguments.reals["high"] = in_float32(high);
  steps.push_back({.kind = StepKind::fclamp, .a = Operand::arg("low"), .b = Operand::arg("high")});
  steps.push_back(make_round(spec.rounding));
  if (!before) {
    arguments.integers["zero_point"] = output.zero_point;
    steps.push_back(make_step(StepKind::add, Operand::arg("zero_point")));
  }
  steps.push_back(make_resize(output.type));
  return sim::Requantizer({std::move(steps), /*input_is_real=*/true}, std::move(arguments),
                          output.type);
}

sim::Requantizer dequantizer(const quant::QParams& input) {
  sim::Arguments arguments;
  arguments.integers["zero_point"] = input.zero_point;
  arguments.reals["scale"] = input.scale;
  std::vector<Step> steps = {make_step(StepKind::sub, Operand::arg("zero_point")),
                             make_step(StepKind::to_f32, {}),
                             make_step(StepKind::fmul, Operand::arg("scale"))};
  return sim::Requantizer({std::move(steps)}, std::move(arguments), sim::kInt32);
}

}  // namespace facsim::backends::detail
