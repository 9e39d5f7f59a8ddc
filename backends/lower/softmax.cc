// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/softmax.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/lower/activations.h"
#include "backends/lower/node-internal.h"
#include "backends/lower/require-internal.h"
#include "sim/core/error.h"
#include "sim/ops/softmax_real.h"
#include "sim/ops/softmax_scaled.h"

namespace facsim::backends {

namespace {

struct SoftmaxOperands {
  const OpRules& rules;
  const quant::QParams& input;
  const quant::QParams& output;
  float beta;

  [[noreturn]] void refuse(std::string found, std::string expected) const {
    throw Error({ErrorCode::unsupported, "softmax", std::move(found), std::move(expected),
                 "algorithm \"" + rules.algorithm + "\""});
  }
  [[noreturn]] void refuse_beta(std::string expected) const {
    refuse(fmt::format("beta {}, input scale {}", beta, input.scale.front()), std::move(expected));
  }
  /// TFLite allows a thousandth for int16 outputs.
  void require_output(int bits, int64_t zero_point) const {
    const float ratio = std::ldexp(output.scale.front(), bits);
    if (output.zero_point.front() == zero_point && std::abs(ratio - 1.0f) <= 0.001f) return;
    refuse(fmt::format("output scale {}, zero point {}", output.scale.front(),
                       output.zero_point.front()),
           fmt::format("2^-{} and {}", bits, zero_point));
  }
};

/// TFLite Micro softmax_common.cc, 8-bit inputs: differences as Q5.26. Above the largest multiplier
/// every code but the largest counts nothing (also in single-rounding builds, which stop at 2^30).
std::shared_ptr<const sim::Op> softmax_exp(const SoftmaxOperands& operands) {
  operands.require_output(operands.output.type.bits, operands.output.type.min());
  const double real = std::min(std::ldexp(static_cast<double>(operands.beta) *
                                              static_cast<double>(operands.input.scale.front()),
                                          31 - 5),
                               0x1p31 - 1.0);
  if (!(real > 1.0)) operands.refuse_beta("a product above 2^-26");
  const quant::Multiplier derived = quant::derive_multiplier(real, operands.rules.multiplier);
  sim::SoftmaxParams params;
  params.input_type = operands.input.type;
  params.output_type = operands.output.type;
  params.difference_min = -detail::input_radius(5, 31 - derived.shift);
  params.scale = detail::scale_program(operands.rules, real);
  return std::make_shared<sim::Softmax>(std::move(params));
}

/// The same, int16: -10..0 as -65535..0.
std::shared_ptr<const sim::Op> softmax_lut(const SoftmaxOperands& operands) {
  operands.require_output(15, 0);
  const double real = static_cast<double>(operands.input.scale.front()) *
                      static_cast<double>(operands.beta) / (10.0 / 65535.0);
  if (!(real >= 0)) operands.refuse_beta("at least 0");
  sim::SoftmaxParams params;
  params.algorithm = sim::SoftmaxParams::Algorithm::lut513;
  params.input_type = operands.input.type;
  params.output_type = operands.output.type;
  try {
    params.scale = detail::scale_program(operands.rules, real);
  } catch (const Error& error) {
    throw detail::with_place(error, fmt::format("softmax beta {}", operands.beta));
  }
  return std::make_shared<sim::Softmax>(std::move(params));
}

/// TFLite activations.cc SoftmaxPrepare with the optimized kernels: -input_scale * beta in float32.
std::shared_ptr<const sim::Op> softmax_float_table(const SoftmaxOperands& operands) {
  operands.require_output(operands.output.type.bits, operands.output.type.min());
  sim::SoftmaxRealParams params;
  params.input_type = operands.input.type;
  params.output_type = operands.output.type;
  params.scale_times_beta = operands.input.scale.front() * operands.beta;
  if (!(params.scale_times_beta >= 0) || !std::isfinite(params.scale_times_beta)) {
    operands.refuse_beta("a product of at least 0, finite in float32");
  }
  params.output_scale = operands.output.scale.front();
  params.output_zero_point = operands.output.zero_point.front();
  return std::make_shared<sim::SoftmaxReal>(params);
}

/// ONNX Runtime qlinear_softmax.cc.
std::shared_ptr<const sim::Op> softmax_scaled_table(const SoftmaxOperands& operands) {
  if (operands.beta != 1) operands.refuse_beta("beta 1");
  if (operands.output.type != operands.input.type) {
    operands.refuse("output " + to_string(operands.output.type), to_string(operands.input.type));
  }
  sim::SoftmaxScaledParams params;
  params.type = operands.input.type;
  params.input_scale = operands.input.scale.front();
  params.output_scale = operands.output.scale.front();
  params.output_zero_point = operands.output.zero_point.front();
  return std::make_shared<sim::SoftmaxScaled>(params);
}

}  // namespace

std::shared_ptr<const sim::Op> lower_softmax(const Profile& profile, const quant::QParams& input,
                                             const quant::QParams& output, float beta) {
  const OpRules& rules = profile.rules_for("softmax", input.type);
  detail::require_finite("softmax", "beta", beta);
  detail::require_activation("input", input, rules);
  quant::check(output, "output");
  const SoftmaxOperands operands{rules, input, output, beta};
  if (output.per_channel()) operands.refuse("an output scale per channel", "one per tensor");
  if (rules.algorithm == "tflite.softmax_int8") return softmax_exp(operands);
  if (rules.algorithm == "tflite.softmax_int16") return softmax_lut(operands);
  if (rules.algorithm == "tflite.softmax_float_table") return softmax_float_table(operands);
  if (rules.algorithm == "ort.softmax_table") return softmax_scaled_table(operands);
  throw Error({ErrorCode::unsupported, "softmax", "algorithm \"" + rules.algorithm + "\"", "", ""});
}

}  // namespace facsim::backends

namespace facsim::backends::detail {

std::shared_ptr<const sim::Op> lower_node_softmax(const NodeView& node) {
  return lower_softmax(node.profile(), node.qparams(0), node.output(), node.attributes().beta);
}

}  // namespace facsim::backends::detail
