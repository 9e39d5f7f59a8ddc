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

}  // namespace

std::shared_ptr<const sim::Op> lower_quantize(const Profile& profile,
                                              const quant::QParams& output) {
  const OpRules& rules = profile.rules("quantize");
  quant::check(output, "output");
  detail::require_type("output", output.type, rules.activation_types);
  return make_map("quantize", DType::float32, detail::quantizer(rules.activation, output),
                  output.channel_axis);
}

std::shared_ptr<const sim::Op> lower_dequantize(const Profile& profile,
                                                const quant::QParams& input) {
  const OpRules& rules = profile.rules("dequantize");
  quant::check(input, "input");
  detail::require_type("input", input.type, rules.activation_types);
  return make_map("dequantize", input.type.storage(), detail::dequantizer(input),
                  input.channel_axis);
}

/// Equal scale and zero point: a clamp. Otherwise q - zero_point through the op's requantize
/// program with the real multiplier s_in / s_out.
std::shared_ptr<const sim::Op> lower_requantize(const Profile& profile, std::string_view kind,
                                                const quant::QParams& input,
                                                const quant::QParams& output,
                                                Activation activation) {
  const OpRules& rules =
      profile.rules_for(kind == "requantize" ? "requantize" : "relu", input.type);
  detail::require_activation("input", input, rules);
  detail::require_output(output, rules);
  const ClampBounds clamp = clamp_bounds(rules, activation, output);
  if (input.scale == output.scale && input.zero_point == output.zero_point) {
    return make_map(kind, input.type.storage(),
                    sim::Requantizer({{detail::make_clamp(clamp)}}, {}, output.type), -1);
  }
  detail::LayerValues values;
  values.accumulator_scale = {input.scale.front()};
  values.real_multiplier = {
      quant::real_multiplier(input.scale.front(), 1.0f, output.scale.front(), rules.multiplier)};
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
