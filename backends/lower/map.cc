// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/map.h"

#include <algorithm>

#include "backends/lower/node-internal.h"
#include "backends/lower/requantize-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

using detail::make_step;
using sim::Operand;
using sim::Step;
using sim::StepKind;

std::shared_ptr<const sim::Op> make_map(std::string_view kind, DType input_dtype,
                                        sim::Requantizer requantize, int channel_axis) {
  sim::MapParams params;
  params.kind = kind;
  params.input_dtype = input_dtype;
  params.requantize = std::move(requantize);
  params.channel_axis = channel_axis;
  return std::make_shared<sim::Map>(std::move(params));
}

std::vector<float> as_float(const std::vector<int64_t>& values, int64_t plus) {
  std::vector<float> out;
  for (const int64_t v : values) out.push_back(static_cast<float>(v + plus));
  return out;
}

}  // namespace

/// v = x / scale (or x * f32(1 / scale)); the clamp is done in float32 before rounding, which gives
/// the same codes as clamping afterwards because the bounds are integers.
std::shared_ptr<const sim::Op> lower_quantize(const Profile& profile,
                                              const quant::QParams& output) {
  using Spec = quant::TensorSpec;
  const OpRules& rules = profile.rules("quantize");
  quant::check(output, "output");
  detail::require_type("output", output.type, rules.activation_types);
  sim::Arguments arguments;
  std::vector<Step> steps;
  arguments.reals["scale"] = output.scale;
  if (rules.activation.formula == Spec::Formula::division) {
    steps.push_back(make_step(StepKind::fdiv, Operand::arg("scale")));
  } else {
    for (float& scale : arguments.reals["scale"]) scale = 1.0f / scale;
    steps.push_back(make_step(StepKind::fmul, Operand::arg("scale")));
  }
  const bool before = rules.activation.zero_point_add == Spec::ZeroPointAdd::before_rounding;
  std::vector<int64_t> low, high;
  for (const int64_t zero_point : output.zero_point) {
    low.push_back(output.quant_min - (before ? 0 : zero_point));
    high.push_back(output.quant_max - (before ? 0 : zero_point));
  }
  if (before) {
    arguments.reals["zero_point"] = as_float(output.zero_point, 0);
    steps.push_back(make_step(StepKind::fadd, Operand::arg("zero_point")));
  }
  arguments.reals["low"] = as_float(low, 0);
  arguments.reals["high"] = as_float(high, 0);
  steps.push_back({.kind = StepKind::fclamp, .a = Operand::arg("low"), .b = Operand::arg("high")});
  steps.push_back(
      {.kind = StepKind::round, .a = {}, .b = {}, .rounding = rules.activation.rounding});
  if (!before) {
    arguments.integers["zero_point"] = output.zero_point;
    steps.push_back(make_step(StepKind::add, Operand::arg("zero_point")));
  }
  steps.push_back({.kind = StepKind::resize, .a = {}, .b = {}, .type = output.type});
  return make_map("quantize", DType::float32,
                  sim::Requantizer({std::move(steps), /*input_is_real=*/true}, std::move(arguments),
                                   output.type),
                  output.channel_axis);
}

/// f32(q - zero_point) * scale.
std::shared_ptr<const sim::Op> lower_dequantize(const Profile& profile,
                                                const quant::QParams& input) {
  const OpRules& rules = profile.rules("dequantize");
  quant::check(input, "input");
  detail::require_type("input", input.type, rules.activation_types);
  sim::Arguments arguments;
  arguments.integers["zero_point"] = input.zero_point;
  arguments.reals["scale"] = input.scale;
  std::vector<Step> steps = {make_step(StepKind::sub, Operand::arg("zero_point")),
                             make_step(StepKind::to_f32, {}),
                             make_step(StepKind::fmul, Operand::arg("scale"))};
  return make_map("dequantize", input.type.storage(),
                  sim::Requantizer({std::move(steps)}, std::move(arguments), sim::kInt32),
                  input.channel_axis);
}

/// Equal scale and zero point: a clamp. Otherwise q - zero_point through the op's requantize
/// program with the real multiplier s_in / s_out.
std::shared_ptr<const sim::Op> lower_requantize(const Profile& profile, std::string_view kind,
                                                const quant::QParams& input,
                                                const quant::QParams& output,
                                                Activation activation) {
  const OpRules& rules = profile.rules(kind == "requantize" ? "requantize" : "relu");
  detail::require_activation("input", input, rules);
  detail::require_activation("output", output, rules);
  const ClampBounds clamp = clamp_bounds(rules, activation, output);
  if (input.scale == output.scale && input.zero_point == output.zero_point) {
    std::vector<Step> steps = {{.kind = StepKind::clamp,
                                .a = Operand::constant(clamp.min),
                                .b = Operand::constant(clamp.max)}};
    return make_map(kind, input.type.storage(),
                    sim::Requantizer({std::move(steps)}, {}, output.type), -1);
  }
  detail::LayerValues values;
  values.accumulator_scale = {input.scale.front()};
  values.real_multiplier = {quant::real_multiplier(input.scale.front(), 1.0f, output.scale.front(),
                                                   rules.multiplier.scale_product)};
  values.output_scale = output.scale.front();
  values.zero_point = output.zero_point.front();
  values.clamp = clamp;
  values.output = output.type;
  return make_map(
      kind, input.type.storage(),
      detail::bind_after({make_step(StepKind::sub, Operand::constant(input.zero_point.front()))},
                         rules, values),
      -1);
}

}  // namespace facsim::backends

namespace facsim::backends::detail {

std::shared_ptr<const sim::Op> lower_node_quantize(const NodeView& node) {
  return lower_quantize(node.profile(), node.output());
}

std::shared_ptr<const sim::Op> lower_node_dequantize(const NodeView& node) {
  return lower_dequantize(node.profile(), node.qparams(0));
}

std::shared_ptr<const sim::Op> lower_node_requantize(const NodeView& node) {
  return lower_requantize(node.profile(), "requantize", node.qparams(0), node.output(),
                          node.attributes().activation);
}

std::shared_ptr<const sim::Op> lower_node_clamp(const NodeView& node) {
  return lower_requantize(node.profile(), "clamp", node.qparams(0), node.output(),
                          node.attributes().activation);
}

std::shared_ptr<const sim::Op> lower_node_relu(const NodeView& node) {
  return lower_requantize(node.profile(), "relu", node.qparams(0), node.output(), Activation::relu);
}

std::shared_ptr<const sim::Op> lower_node_relu6(const NodeView& node) {
  return lower_requantize(node.profile(), "relu6", node.qparams(0), node.output(),
                          Activation::relu6);
}

}  // namespace facsim::backends::detail
