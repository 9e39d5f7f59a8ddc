// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/add.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "backends/lower/node-internal.h"
#include "backends/lower/requantize-internal.h"
#include "backends/lower/tensor_ops.h"
#include "sim/core/error.h"
#include "sim/ops/add_fma.h"

namespace facsim::backends {

namespace {

using detail::make_shr;
using detail::make_step;
using sim::Operand;
using sim::Step;
using sim::StepKind;

struct AddOperands {
  const OpRules& rules;
  const quant::QParams& lhs;
  const quant::QParams& rhs;
  const quant::QParams& output;
  ClampBounds clamp;
  sim::AddParams::Kind kind = sim::AddParams::Kind::add;
};

Step subtract_zero_point(const quant::QParams& qparams) {
  return make_step(StepKind::sub, Operand::constant(qparams.zero_point.front()));
}

sim::Requantizer program_of(std::vector<Step> steps, sim::IntType output) {
  return sim::Requantizer({std::move(steps)}, {}, output);
}

/// `steps`, then how every sum ends.
std::vector<Step> with_output_steps(std::vector<Step> steps, const AddOperands& add) {
  return detail::joined(std::move(steps), detail::output_steps(add.output.zero_point.front(),
                                                               add.output.type, add.clamp));
}

std::shared_ptr<const sim::Op> make_add(const AddOperands& add, sim::Requantizer lhs,
                                        sim::Requantizer rhs, sim::Requantizer output) {
  return std::make_shared<sim::Add>(sim::AddParams{add.lhs.type, add.rhs.type, std::move(lhs),
                                                   std::move(rhs), std::move(output), add.kind});
}

template <class Real>
std::array<double, 3> multipliers_of_scaled_add(float lhs_scale, float rhs_scale,
                                                float output_scale, int left_shift) {
  const auto lhs = static_cast<Real>(lhs_scale);
  const auto rhs = static_cast<Real>(rhs_scale);
  const Real twice_max = Real{2} * std::max(lhs, rhs);
  const Real output = std::ldexp(Real{1}, left_shift) * static_cast<Real>(output_scale);
  return {static_cast<double>(lhs / twice_max), static_cast<double>(rhs / twice_max),
          static_cast<double>(twice_max / output)};
}

/// Input i is (q - z) * 2^left_shift scaled by s_i / t, the sum by t / (2^left_shift * s_out).
std::shared_ptr<const sim::Op> scaled_add(const AddOperands& add) {
  const auto left_shift = add.rules.algorithm_params.at("left_shift");
  const std::array<double, 3> real = detail::scaled_add_multipliers(
      add.rules, add.lhs.scale.front(), add.rhs.scale.front(), add.output.scale.front());
  const auto input = [&](const quant::QParams& qparams, double multiplier) {
    detail::LayerValues values;
    values.real_multiplier = {multiplier};
    values.output = sim::kInt32;
    values.clamp = detail::whole_range(sim::kInt32);
    return detail::bind_after(
        {subtract_zero_point(qparams), make_step(StepKind::shl, Operand::constant(left_shift))},
        add.rules, values);
  };
  detail::LayerValues values;
  values.real_multiplier = {real[2]};
  values.zero_point = add.output.zero_point.front();
  values.clamp = add.clamp;
  values.output = add.output.type;
  return make_add(add, input(add.lhs, real[0]), input(add.rhs, real[1]),
                  detail::bind(add.rules, values));
}

/// Integer multipliers of the ratios s_i / s_out in float32; the larger has `multiplier_bits` bits:
/// shift = bits - 1 - exponent(larger ratio), M_i = half_even(ratio_i * 2^shift); the sum is
/// shifted with `rounding`. XNNPACK microparams-init.c xnn_init_qs8_add_minmax (half_up), QNNPACK
/// requantization.h pytorch_qnnp_compute_add_quantization_params (half_away_from_zero). Error
/// unsupported for a ratio outside [smallest, 2^8), which both refuse.
std::shared_ptr<const sim::Op> rational_add(const AddOperands& add, sim::Rounding rounding,
                                            float smallest) {
  const auto bits = static_cast<int>(add.rules.algorithm_params.at("multiplier_bits"));
  const float lhs_ratio = add.lhs.scale.front() / add.output.scale.front();
  const float rhs_ratio = add.rhs.scale.front() / add.output.scale.front();
  for (const float ratio : {lhs_ratio, rhs_ratio}) {
    if (ratio >= smallest && ratio < 0x1p8f) continue;
    throw Error({ErrorCode::unsupported, "add", fmt::format("input to output scale {}", ratio),
                 fmt::format("2^{} <= ratio < 2^8", std::ilogb(smallest)), ""});
  }
  const int shift = bits - 1 - std::ilogb(std::max(lhs_ratio, rhs_ratio));
  const auto input = [&](const quant::QParams& qparams, float ratio) {
    const auto multiplier =
        static_cast<int64_t>(sim::round_real(sim::Rounding::half_even, std::ldexp(ratio, shift)));
    return program_of(
        {subtract_zero_point(qparams), make_step(StepKind::mul, Operand::constant(multiplier))},
        sim::kInt32);
  };
  return make_add(add, input(add.lhs, lhs_ratio), input(add.rhs, rhs_ratio),
                  program_of(with_output_steps({make_shr(shift, rounding)}, add), add.output.type));
}

std::shared_ptr<const sim::Op> fma_add(const AddOperands& add) {
  sim::AddFmaParams params;
  params.lhs_type = add.lhs.type;
  params.rhs_type = add.rhs.type;
  params.output_type = add.output.type;
  params.lhs_scale = add.lhs.scale.front();
  params.rhs_scale = add.rhs.scale.front();
  params.output_scale = add.output.scale.front();
  params.lhs_zero_point = add.lhs.zero_point.front();
  params.rhs_zero_point = add.rhs.zero_point.front();
  params.output_zero_point = add.output.zero_point.front();
  params.clamp_min = add.clamp.min;
  params.clamp_max = add.clamp.max;
  return std::make_shared<sim::AddFma>(params);
}

/// The rounding of the profile's own program where it leaves float32 (round) or shifts (shr).
sim::Rounding rounding_of(const OpRules& rules, StepKind kind) {
  for (const Step& step : rules.requantize.steps) {
    if (step.kind == kind) return step.rounding;
  }
  throw Error({ErrorCode::unsupported, "add", "algorithm \"" + rules.algorithm + "\"",
               "a requantize program with a " + std::string(sim::to_string(kind)) + " step", ""});
}

/// y = round((f32(a - za) * sa + f32(b - zb) * sb) / s_out) + z_out, one float32 rounding each.
std::shared_ptr<const sim::Op> float32_add(const AddOperands& add) {
  const auto input = [&](const quant::QParams& qparams) {
    return program_of({subtract_zero_point(qparams), make_step(StepKind::to_f32, {}),
                       make_step(StepKind::fmul, Operand::constant_f32(qparams.scale.front()))},
                      sim::kInt32);
  };
  std::vector<Step> output =
      with_output_steps({make_step(StepKind::fdiv, Operand::constant_f32(add.output.scale.front())),
                         detail::make_fclamp(add.clamp, add.output.zero_point.front()),
                         detail::make_round(rounding_of(add.rules, StepKind::round))},
                        add);
  return make_add(
      add, input(add.lhs), input(add.rhs),
      sim::Requantizer({std::move(output), /*input_is_real=*/true}, {}, add.output.type));
}

/// Power-of-two scales: inputs in the finer unit u, sum exact, shifted by log2(s_out / u).
std::shared_ptr<const sim::Op> shift_add(const AddOperands& add) {
  const int unit = std::min(std::ilogb(add.lhs.scale.front()), std::ilogb(add.rhs.scale.front()));
  const auto input = [&](const quant::QParams& qparams) {
    const int shift = std::ilogb(qparams.scale.front()) - unit;
    if (shift > 31) {
      throw Error({ErrorCode::unsupported, "add", fmt::format("input scales 2^{} apart", shift),
                   "at most 2^31", ""});
    }
    return program_of(
        {subtract_zero_point(qparams), make_step(StepKind::shl, Operand::constant(shift))},
        {48, true});
  };
  const int shift = std::ilogb(add.output.scale.front()) - unit;
  if (shift < -31 || shift > 62) {
    throw Error(
        {ErrorCode::unsupported, "add", fmt::format("output shift {}", shift), "-31..62", ""});
  }
  std::vector<Step> output;
  if (shift < 0) output.push_back(make_step(StepKind::shl, Operand::constant(-shift)));
  output.push_back(make_shr(std::max(shift, 0), rounding_of(add.rules, StepKind::shr)));
  return make_add(add, input(add.lhs), input(add.rhs),
                  program_of(with_output_steps(std::move(output), add), add.output.type));
}

}  // namespace

std::shared_ptr<const sim::Op> lower_add(const Profile& profile, const quant::QParams& lhs,
                                         const quant::QParams& rhs, const quant::QParams& output,
                                         Activation activation) {
  const OpRules& rules = profile.rules_for("add", lhs.type);
  detail::require_activation("input 0", lhs, rules);
  detail::require_activation("input 1", rhs, rules);
  detail::require_activation("output", output, rules);
  const AddOperands add{rules, lhs, rhs, output, clamp_bounds(rules, activation, output)};
  if (rules.algorithm == "scaled_add") return scaled_add(add);
  if (rules.algorithm == "xnnpack.add_rational21") {
    return rational_add(add, sim::Rounding::half_up, 0x1p-10f);
  }
  if (rules.algorithm == "qnnpack.add_rational22") {
    return rational_add(add, sim::Rounding::half_away_from_zero, 0x1p-14f);
  }
  if (rules.algorithm == "ort.qlinear_add_fma") return fma_add(add);
  if (rules.algorithm == "float32_add") return float32_add(add);
  if (rules.algorithm == "shift_add") return shift_add(add);
  throw Error({ErrorCode::unsupported, "add", "algorithm \"" + rules.algorithm + "\"", "", ""});
}

std::shared_ptr<const sim::Op> lower_sub(const Profile& profile, const quant::QParams& lhs,
                                         const quant::QParams& rhs, const quant::QParams& output,
                                         Activation activation) {
  const OpRules& rules = profile.rules_for("sub", lhs.type);
  detail::require_activation("input 0", lhs, rules);
  detail::require_activation("input 1", rhs, rules);
  detail::require_activation("output", output, rules);
  const AddOperands sub{
      rules, lhs, rhs, output, clamp_bounds(rules, activation, output), sim::AddParams::Kind::sub};
  if (rules.algorithm == "scaled_add") return scaled_add(sub);
  // XNNPACK subtract_nd: the same multipliers, the second one negated.
  if (rules.algorithm == "xnnpack.add_rational21") {
    return rational_add(sub, sim::Rounding::half_up, 0x1p-10f);
  }
  throw Error({ErrorCode::unsupported, "sub", "algorithm \"" + rules.algorithm + "\"", "", ""});
}

}  // namespace facsim::backends

namespace facsim::backends::detail {

std::array<double, 3> scaled_add_multipliers(const OpRules& rules, float lhs_scale, float rhs_scale,
                                             float output_scale) {
  const auto left_shift = static_cast<int>(rules.algorithm_params.at("left_shift"));
  return rules.multiplier.scale_product == quant::MultiplierSpec::ScaleProduct::float32
             ? multipliers_of_scaled_add<float>(lhs_scale, rhs_scale, output_scale, left_shift)
             : multipliers_of_scaled_add<double>(lhs_scale, rhs_scale, output_scale, left_shift);
}

std::shared_ptr<const sim::Op> lower_node_add(const NodeView& node) {
  return lower_add(node.profile(), node.qparams(0), node.qparams(1), node.output(),
                   node.attributes().activation);
}

std::shared_ptr<const sim::Op> lower_node_sub(const NodeView& node) {
  return lower_sub(node.profile(), node.qparams(0), node.qparams(1), node.output(),
                   node.attributes().activation);
}

}  // namespace facsim::backends::detail
