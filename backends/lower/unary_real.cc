// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/unary_real.h"

#include <fmt/format.h>

#include <cmath>

#include "backends/lower/requantize-internal.h"
#include "sim/core/error.h"
#include "sim/ops/leaky_relu.h"
#include "sim/ops/unary_real.h"
#include "sim/rounding/rounding.h"

namespace facsim::backends {

namespace {

using sim::Operand;
using sim::Step;
using sim::StepKind;

struct RealUnary {
  const OpRules& rules;
  std::string_view op;
  const quant::QParams& input;
  const quant::QParams& output;
  float alpha;

  [[noreturn]] void refuse(std::string found, std::string expected) const {
    throw Error({ErrorCode::unsupported, std::string(op), std::move(found), std::move(expected),
                 "algorithm \"" + rules.algorithm + "\""});
  }
};

/// XNNPACK xnn_create_{sigmoid,tanh}_nc_{qs8,qu8}: one output scale and zero point each.
void require_xnnpack_output(const RealUnary& unary) {
  const bool sigmoid = unary.op == "sigmoid";
  const float scale = sigmoid ? 0x1p-8f : 0x1p-7f;
  const sim::IntType type = unary.output.type;
  const int64_t zero_point = sigmoid ? type.min() : (type.min() + type.max() + 1) / 2;
  if (unary.output.scale.front() == scale && unary.output.zero_point.front() == zero_point) return;
  unary.refuse(fmt::format("output scale {}, zero point {}", unary.output.scale.front(),
                           unary.output.zero_point.front()),
               fmt::format("{} and {}", scale, zero_point));
}

std::shared_ptr<const sim::Op> lookup_table(const RealUnary& unary) {
  const bool is_ort = unary.rules.algorithm == "ort.lookup_table";
  sim::UnaryRealParams params;
  if (unary.op == "leaky_relu") {
    params.function = sim::RealFunction::leaky_relu;
  } else if (unary.op == "sigmoid") {
    params.function =
        is_ort ? sim::RealFunction::sigmoid_rational_fma : sim::RealFunction::sigmoid_exp;
  } else {
    params.function = sim::RealFunction::tanh;
  }
  if (!is_ort && unary.op != "leaky_relu") require_xnnpack_output(unary);
  params.input_type = unary.input.type;
  params.zero_point = unary.input.zero_point.front();
  params.scale = unary.input.scale.front();
  params.alpha = unary.alpha;
  params.output = detail::quantizer(unary.rules.activation, unary.output);
  return std::make_shared<sim::UnaryReal>(std::move(params));
}

/// XNNPACK xnn_init_qs8_lrelu_params and qs8-vlrelu.
std::shared_ptr<const sim::Op> lrelu_q8(const RealUnary& unary) {
  const float positive = unary.input.scale.front() / unary.output.scale.front();
  const float negative = positive * unary.alpha;
  if (!(positive >= 0x1p-8f && positive <= 0x1p7f)) {
    unary.refuse(fmt::format("input to output scale {}", positive), "2^-8 <= ratio <= 2^7");
  }
  if (!(negative <= 0x1p7f && negative >= -0x1.FFFCp6f && std::abs(negative) >= 0x1p-8f)) {
    unary.refuse(fmt::format("input to output scale times alpha {}", negative),
                 "-127.99609 <= ratio <= 2^7, at least 2^-8 from 0");
  }
  const auto program = [&](float ratio) {
    const auto multiplier =
        static_cast<int64_t>(sim::round_real(sim::Rounding::half_even, 256.0f * ratio));
    std::vector<Step> steps = {
        detail::make_step(StepKind::mul, Operand::constant(multiplier)),
        detail::make_step(StepKind::add, Operand::constant(256 * unary.output.zero_point.front())),
        detail::make_shr(8, sim::Rounding::half_up), detail::make_resize(unary.output.type)};
    return sim::Requantizer({std::move(steps)}, {}, unary.output.type);
  };
  return std::make_shared<sim::LeakyRelu>(sim::LeakyReluParams{
      unary.input.type, unary.input.zero_point.front(), program(positive), program(negative)});
}

}  // namespace

bool is_unary_real(const OpRules& rules) {
  return rules.algorithm == "ort.lookup_table" || rules.algorithm == "xnnpack.lookup_table" ||
         rules.algorithm == "xnnpack.lrelu_q8";
}

std::shared_ptr<const sim::Op> lower_unary_real(const OpRules& rules, std::string_view op,
                                                const quant::QParams& input,
                                                const quant::QParams& output, float alpha) {
  detail::require_activation("input", input, rules);
  detail::require_activation("output", output, rules);
  const RealUnary unary{rules, op, input, output, alpha};
  if (rules.algorithm == "xnnpack.lrelu_q8" && op == "leaky_relu") return lrelu_q8(unary);
  if (is_unary_real(rules) && rules.algorithm != "xnnpack.lrelu_q8") return lookup_table(unary);
  unary.refuse("algorithm \"" + rules.algorithm + "\"", "a table of a float32 function");
}

}  // namespace facsim::backends
