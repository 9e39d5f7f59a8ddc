// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/prelu.h"

#include "backends/lower/activations.h"
#include "backends/lower/node-internal.h"
#include "sim/core/error.h"
#include "sim/ops/constant_inputs.h"

namespace facsim::backends {

/// requantized_slopes: the rules' program with s_in / s_out for v >= 0 and with s_in * s_alpha /
/// s_out for v < 0. Any zero point and a type of the op's activations for alpha (TFLite: int8
/// beside int16).
std::shared_ptr<const sim::Op> lower_prelu(const Profile& profile, const quant::QParams& input,
                                           const quant::QParams& alpha,
                                           const quant::QParams& output) {
  const OpRules& rules = profile.rules_for("prelu", input.type);
  detail::require_activation("input", input, rules);
  detail::require_activation("output", output, rules);
  quant::check(alpha, "alpha");
  if (alpha.per_channel()) {
    throw Error(
        {ErrorCode::unsupported, "prelu alpha", "a scale per channel", "one scale per tensor", ""});
  }
  if (rules.algorithm != "requantized_slopes") {
    throw Error({ErrorCode::unsupported, "prelu", "algorithm \"" + rules.algorithm + "\"",
                 "requantized_slopes", ""});
  }
  sim::PreluParams params;
  params.input_type = input.type;
  params.alpha_type = alpha.type;
  params.zero_point = input.zero_point.front();
  params.alpha_zero_point = alpha.zero_point.front();
  params.positive = detail::slope_program(rules, input, 1.0f, output);
  params.negative = detail::slope_program(rules, input, alpha.scale.front(), output);
  return std::make_shared<sim::Prelu>(std::move(params));
}

}  // namespace facsim::backends

namespace facsim::backends::detail {

std::shared_ptr<const sim::Op> lower_node_prelu(const NodeView& node) {
  auto op = lower_prelu(node.profile(), node.qparams(0), node.qparams(1), node.output());
  return std::make_shared<sim::ConstantInputs>(
      std::move(op), std::vector<std::optional<Tensor>>{std::nullopt, node.constant(1)});
}

}  // namespace facsim::backends::detail
