// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/sigmoid.h"

#include <fmt/format.h>

#include <cmath>

#include "backends/lower/activations.h"
#include "backends/lower/node-internal.h"
#include "backends/lower/unary_real.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

struct SigmoidOperands {
  const OpRules& rules;
  std::string_view op;
  const quant::QParams& input;
  const quant::QParams& output;

  bool is_tanh() const { return op == "tanh"; }
  [[noreturn]] void refuse(std::string found, std::string expected) const {
    throw Error({ErrorCode::unsupported, std::string(op), std::move(found), std::move(expected),
                 "algorithm \"" + rules.algorithm + "\""});
  }
  /// TFLite checks some outputs exactly and some not at all; its kernels compute these. A hundredth
  /// of the scale tells 1/255, which occurs, from another scale.
  void require_output(float scale, int64_t zero_point) const {
    const float ratio = output.scale.front() / scale;
    if (output.zero_point.front() == zero_point && ratio > 0.99f && ratio < 1.01f) return;
    refuse(fmt::format("output scale {}, zero point {}", output.scale.front(),
                       output.zero_point.front()),
           fmt::format("{} and {}", scale, zero_point));
  }
  sim::SigmoidParams params(sim::SigmoidParams::Algorithm algorithm) const {
    using Function = sim::SigmoidParams::Function;
    sim::SigmoidParams params;
    params.function = is_tanh() ? Function::tanh : Function::sigmoid;
    params.algorithm = algorithm;
    params.type = input.type;
    params.zero_point = input.zero_point.front();
    return params;
  }
};

/// TFLite Micro logistic_common.cc and tanh.cc: the input as Q4.27.
std::shared_ptr<const sim::Op> sigmoid_q4(const SigmoidOperands& operands) {
  operands.require_output(operands.is_tanh() ? 0x1p-7f : 0x1p-8f,
                          operands.is_tanh() ? 0 : operands.output.type.min());
  const double real = std::ldexp(static_cast<double>(operands.input.scale.front()), 31 - 4);
  const quant::Multiplier derived = quant::derive_multiplier(real, operands.rules.multiplier);
  if (derived.shift > 31) {
    operands.refuse(fmt::format("input scale {}", operands.input.scale.front()),
                    "a scale of at least 2^-28");
  }
  sim::SigmoidParams params = operands.params(sim::SigmoidParams::Algorithm::gemmlowp_q4);
  params.radius = detail::input_radius(4, 31 - derived.shift);
  params.scale = detail::scale_program(operands.rules, real);
  return std::make_shared<sim::Sigmoid>(std::move(params));
}

/// The same files, int16: a scale of 2^-12 (tanh: also 2^-11) times 3, any other by a multiplier
/// whose 15 bits are the leading ones of scale * 3 * 2^12, cut.
std::shared_ptr<const sim::Op> sigmoid_u16(const SigmoidOperands& operands) {
  operands.require_output(0x1p-15f, 0);
  if (operands.input.zero_point.front() != 0) {
    operands.refuse(fmt::format("input zero point {}", operands.input.zero_point.front()), "0");
  }
  const auto scale = static_cast<double>(operands.input.scale.front());
  const double log2 = std::log2(scale);
  const double exponent = std::round(log2) + 12;
  int64_t multiplier = 0, shift = 0;
  if (std::abs(log2 - std::round(log2)) < 1e-3 &&
      (exponent == 0 || (operands.is_tanh() && exponent == 1))) {
    multiplier = exponent == 0 ? 3 : 6;
  } else {
    double real = scale * 4096.0 * 3.0;
    while (real <= 32767.0 / 2.0 && shift <= 30) {
      ++shift;
      real *= 2.0;
    }
    multiplier = real > 32768.0 ? 32768 : static_cast<int64_t>(real);
  }
  sim::SigmoidParams params = operands.params(sim::SigmoidParams::Algorithm::table_u16);
  params.scale = detail::table_scale(multiplier, shift);
  return std::make_shared<sim::Sigmoid>(std::move(params));
}

}  // namespace

std::shared_ptr<const sim::Op> lower_sigmoid(const Profile& profile, std::string_view op,
                                             const quant::QParams& input,
                                             const quant::QParams& output) {
  const OpRules& rules = profile.rules_for(op, input.type);
  detail::require_activation("input", input, rules);
  detail::require_activation("output", output, rules);
  if (is_unary_real(rules)) return lower_unary_real(rules, op, input, output, 0);
  const SigmoidOperands operands{rules, op, input, output};
  if (output.type != input.type) {
    operands.refuse("output " + to_string(output.type), to_string(input.type));
  }
  if (rules.algorithm == "tflite.gemmlowp_q4") return sigmoid_q4(operands);
  if (rules.algorithm == "tflite.sigmoid_table") return sigmoid_u16(operands);
  throw Error(
      {ErrorCode::unsupported, std::string(op), "algorithm \"" + rules.algorithm + "\"", "", ""});
}

}  // namespace facsim::backends

namespace facsim::backends::detail {

std::shared_ptr<const sim::Op> lower_node_sigmoid(const NodeView& node) {
  return lower_sigmoid(node.profile(), "sigmoid", node.qparams(0), node.output());
}

std::shared_ptr<const sim::Op> lower_node_tanh(const NodeView& node) {
  return lower_sigmoid(node.profile(), "tanh", node.qparams(0), node.output());
}

}  // namespace facsim::backends::detail
