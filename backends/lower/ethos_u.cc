// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/lower/platform-internal.h"
#include "quant/npu_scale.h"
#include "sim/core/error.h"
#include "sim/ops/add.h"
#include "sim/ops/leaky_relu.h"

namespace facsim::backends::detail {

namespace {

using sim::Operand;
using sim::Rounding;
using sim::Step;
using sim::StepKind;

Step ethos_shl(int64_t count) { return make_step(StepKind::shl, Operand::constant(count)); }

/// v * scale by the rounding register's TFL mode: half_up at 31 bits, half_away_from_zero for what
/// a shift has more.
std::vector<Step> tfl_scaled(const quant::Multiplier& scale) {
  if (scale.shift > 62) {
    throw Error({ErrorCode::unsupported, "scale", fmt::format("right shift {}", scale.shift),
                 "at most 62", ""});
  }
  const int first = std::min(scale.shift, 31);
  return {make_step(StepKind::mul, Operand::constant(scale.multiplier)),
          make_shr(first, Rounding::half_up),
          make_shr(scale.shift - first, Rounding::half_away_from_zero)};
}

sim::Requantizer ethos_program(std::vector<Step> steps, sim::IntType output) {
  return sim::Requantizer({std::move(steps)}, {}, output);
}

double clamped_sigmoid(double x) {
  if (x <= -8) return 0;
  if (x >= 8) return 1;
  return 1 / (1 + std::exp(-x));
}

}  // namespace

/// Vela scaling.py advanced_elementwise_add_sub_scale: with t = 2 * larger scale and n the
/// left_shift, the operand of the smaller scale s is multiplied by vela_scale(s * 2^n / t), the
/// other shifted left by n - 1, the sum multiplied by vela_scale(t / (s_out * 2^n)).
std::shared_ptr<const sim::Op> lower_ethos_u_add(const NodeView& node) {
  const OpRules& rules = node_rules(node);
  const quant::QParams& lhs = node.qparams(0);
  const quant::QParams& rhs = node.qparams(1);
  const quant::QParams& output = node.output();
  require_activation("input 0", lhs, rules);
  require_activation("input 1", rhs, rules);
  require_activation("output", output, rules);
  const auto left_shift = static_cast<int>(rules.algorithm_params.at("left_shift"));
  const double lhs_scale = lhs.scale.front(), rhs_scale = rhs.scale.front();
  const double twice_larger = 2 * std::max(lhs_scale, rhs_scale);
  const bool scale_lhs = lhs_scale < rhs_scale;  // of equal scales the second is multiplied
  const auto operand = [&](const quant::QParams& qparams, bool scaled) {
    std::vector<Step> scale = {ethos_shl(left_shift - 1)};
    if (scaled) {
      const double real = std::ldexp(qparams.scale.front(), left_shift) / twice_larger;
      scale = tfl_scaled(quant::vela_scale(real));
    }
    const Step centre = make_step(StepKind::sub, Operand::constant(qparams.zero_point.front()));
    return ethos_program(joined({centre}, std::move(scale)), {48, true});
  };
  const double real =
      twice_larger / std::ldexp(static_cast<double>(output.scale.front()), left_shift);
  std::vector<Step> sum =
      joined(tfl_scaled(quant::vela_scale(real)),
             output_steps(output.zero_point.front(), output.type,
                          clamp_bounds(rules, node.attributes().activation, output)));
  sim::AddParams params;
  params.lhs_type = lhs.type;
  params.rhs_type = rhs.type;
  if (node.node().op == "sub") params.kind = sim::AddParams::Kind::sub;
  params.lhs = operand(lhs, scale_lhs);
  params.rhs = operand(rhs, !scale_lhs);
  params.output = ethos_program(std::move(sum), output.type);
  return std::make_shared<sim::Add>(std::move(params));
}

/// Vela convert_to_lut8: round_half_away(zero_point + f(x) / output_scale), float64 throughout.
std::shared_ptr<const sim::Op> lower_ethos_u_table(const NodeView& node) {
  require_unary(node);
  const quant::QParams& input = node.qparams(0);
  const quant::QParams& output = node.output();
  if (input.type.bits != 8 || output.type != input.type) {
    throw Error({ErrorCode::unsupported, "input", sim::to_string(input.type),
                 "8 bits, and the same type out", "wider sigmoid and tanh are the unit's own"});
  }
  const bool sigmoid = node.node().op == "sigmoid";
  const double input_scale = input.scale.front(), output_scale = output.scale.front();
  const auto zero_in = input.zero_point.front();
  const auto zero_out = static_cast<double>(output.zero_point.front());
  return table_of_codes(input, output, [=](int64_t code) {
    const double x = input_scale * static_cast<double>(code - zero_in);
    const double y = sigmoid ? clamped_sigmoid(x) : std::tanh(x);
    return static_cast<int64_t>(
        sim::round_real(Rounding::half_away_from_zero, zero_out + y / output_scale));
  });
}

/// Vela convert_lrelu_to_lut: TFLite's double rounding with vela_scale(s_in * alpha / s_out) for
/// negative values and vela_scale(s_in / s_out) for others.
std::shared_ptr<const sim::Op> lower_ethos_u_leaky_relu(const NodeView& node) {
  require_unary(node);
  const quant::QParams& input = node.qparams(0);
  const quant::QParams& output = node.output();
  const double input_scale = input.scale.front(), output_scale = output.scale.front();
  const double alpha = node.attributes().alpha;
  require_finite("leaky_relu", "alpha", alpha);
  if (input.type.bits != 8 || !(alpha >= 0)) {
    throw Error({ErrorCode::unsupported, "leaky_relu",
                 fmt::format("{}, alpha {}", sim::to_string(input.type), alpha),
                 "8 bits, alpha >= 0", ""});
  }
  const auto program = [&](double real) {
    const quant::Multiplier scale = quant::vela_scale(real);
    std::vector<Step> steps = {
        ethos_shl(std::max(31 - scale.shift, 0)),
        make_step(StepKind::mul, Operand::constant(scale.multiplier)),
        make_shr(31, Rounding::half_up), make_resize(sim::kInt32),
        make_shr(std::max(scale.shift - 31, 0), Rounding::half_away_from_zero)};
    return ethos_program(
        joined(std::move(steps), output_steps(output.zero_point.front(), output.type,
                                              {output.quant_min, output.quant_max})),
        output.type);
  };
  sim::LeakyReluParams params;
  params.input_type = input.type;
  params.zero_point = input.zero_point.front();
  params.positive = program(input_scale / output_scale);
  params.negative = program(input_scale * alpha / output_scale);
  return std::make_shared<sim::LeakyRelu>(std::move(params));
}

}  // namespace facsim::backends::detail
