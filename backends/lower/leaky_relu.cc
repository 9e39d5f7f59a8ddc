// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/leaky_relu.h"

#include <fmt/format.h>

#include <cmath>

#include "backends/lower/activations.h"
#include "backends/lower/node-internal.h"
#include "backends/lower/require-internal.h"
#include "backends/lower/unary_real.h"
#include "sim/core/error.h"

namespace facsim::backends {

/// requantized_slopes: the rules' program with s_in / s_out for v >= 0 and with s_in * alpha /
/// s_out for v < 0, in the precision of the rules' scale_product (TFLite: float32).
std::shared_ptr<const sim::Op> lower_leaky_relu(const Profile& profile, const quant::QParams& input,
                                                const quant::QParams& output, float alpha) {
  const OpRules& rules = profile.rules_for("leaky_relu", input.type);
  detail::require_finite("leaky_relu", "alpha", alpha);
  detail::require_activation("input", input, rules);
  detail::require_activation("output", output, rules);
  if (is_unary_real(rules)) return lower_unary_real(rules, "leaky_relu", input, output, alpha);
  if (rules.algorithm != "requantized_slopes") {
    throw Error({ErrorCode::unsupported, "leaky_relu", "algorithm \"" + rules.algorithm + "\"",
                 "requantized_slopes", ""});
  }
  const double negative =
      quant::real_multiplier(input.scale.front(), alpha, output.scale.front(), rules.multiplier);
  if (!(negative >= 0) || !std::isfinite(negative)) {
    throw Error({ErrorCode::unsupported, "leaky_relu",
                 fmt::format("alpha {}, input to output scale {}", alpha,
                             input.scale.front() / output.scale.front()),
                 "alpha >= 0 and a finite product", "algorithm \"requantized_slopes\""});
  }
  const sim::Requantizer positive = detail::slope_program(rules, input, 1.0f, output);
  try {
    return std::make_shared<sim::LeakyRelu>(
        sim::LeakyReluParams{input.type, input.zero_point.front(), positive,
                             detail::slope_program(rules, input, alpha, output)});
  } catch (const Error& error) {
    throw detail::with_place(error, fmt::format("leaky_relu alpha {}", alpha));
  }
}

}  // namespace facsim::backends

namespace facsim::backends::detail {

std::shared_ptr<const sim::Op> lower_node_leaky_relu(const NodeView& node) {
  return lower_leaky_relu(node.profile(), node.qparams(0), node.output(), node.attributes().alpha);
}

}  // namespace facsim::backends::detail
