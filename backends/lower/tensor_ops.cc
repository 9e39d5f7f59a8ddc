// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/tensor_ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "backends/lower/node-internal.h"
#include "backends/lower/requantize-internal.h"
#include "sim/core/error.h"
#include "sim/ops/mean.h"
#include "sim/ops/min_max.h"

namespace facsim::backends {

namespace {

/// The rules' program for products of two activations.
sim::Requantizer product_program(const OpRules& rules, const quant::QParams& lhs,
                                 const quant::QParams& rhs, const quant::QParams& output,
                                 Activation activation) {
  return make_requantizer(rules, {lhs.scale.front(), {rhs.scale.front()}, output, activation}, {});
}

void require_binary(const OpRules& rules, const quant::QParams& lhs, const quant::QParams& rhs,
                    const quant::QParams& output) {
  detail::require_activation("input 0", lhs, rules);
  detail::require_activation("input 1", rhs, rules);
  detail::require_output(output, rules);
}

/// The rules of a product: of the variant int16_to_int8 where the platform has one for these types
/// (TFLite reference/mul.h, codes are fractions of 2^15 and 2^7), else of the operands' type.
const OpRules& mul_rules(const Profile& profile, const quant::QParams& lhs,
                         const quant::QParams& rhs, const quant::QParams& output) {
  const auto narrowing = profile.ops.find("mul int16_to_int8");
  if (narrowing == profile.ops.end() || lhs.type != sim::kInt16 || rhs.type != sim::kInt16 ||
      output.type != sim::kInt8) {
    return profile.rules_for("mul", lhs.type);
  }
  const float scale = lhs.scale.front() * rhs.scale.front() / output.scale.front();
  if (scale != 0x1p-23f) {
    throw Error({ErrorCode::unsupported, "mul", fmt::format("a real multiplier of {}", scale),
                 "2^-23 (scales 2^-15, 2^-15 and 2^-7)",
                 "int8 outputs of int16 have no multiplier"});
  }
  return narrowing->second;
}

sim::Requantizer folded_mean_program(const OpRules& rules, const quant::QParams& input,
                                     const quant::QParams& output, int64_t count) {
  const quant::Multiplier scale = quant::derive_multiplier(
      quant::real_multiplier(input.scale.front(), 1.0f, output.scale.front(), rules.multiplier),
      rules.multiplier);
  int fold = std::min(static_cast<int>(std::bit_width(static_cast<uint64_t>(count))) - 1, 32);
  fold = std::max(0, std::min(fold, 62 - scale.shift));
  GivenMultiplier given;
  given.multiplier = {
      static_cast<int64_t>((sim::int128{scale.multiplier} << fold) / sim::int128{count})};
  given.shift = {scale.shift + fold};
  given.zero_point = output.zero_point.front();
  given.clamp = {output.quant_min, output.quant_max};
  given.output = output.type;
  return make_requantizer(rules, given);
}

}  // namespace

sim::BatchMatmulParams lower_batch_matmul(const Profile& profile, const quant::QParams& lhs,
                                          const quant::QParams& rhs, const quant::QParams& output,
                                          Activation activation) {
  const OpRules& rules = profile.rules_for("batch_matmul", lhs.type);
  require_binary(rules, lhs, rhs, output);
  sim::BatchMatmulParams params;
  params.lhs_type = lhs.type;
  params.rhs_type = rhs.type;
  params.lhs_zero_point = lhs.zero_point.front();
  params.rhs_zero_point = rhs.zero_point.front();
  params.accumulator = rules.accumulator;
  params.requantize = product_program(rules, lhs, rhs, output, activation);
  return params;
}

sim::MulParams lower_mul(const Profile& profile, const quant::QParams& lhs,
                         const quant::QParams& rhs, const quant::QParams& output,
                         Activation activation) {
  const OpRules& rules = mul_rules(profile, lhs, rhs, output);
  require_binary(rules, lhs, rhs, output);
  return {lhs.type, rhs.type, lhs.zero_point.front(), rhs.zero_point.front(),
          product_program(rules, lhs, rhs, output, activation)};
}

std::shared_ptr<const sim::Op> lower_min_max(const Profile& profile, std::string_view op,
                                             const quant::QParams& lhs, const quant::QParams& rhs,
                                             const quant::QParams& output) {
  const OpRules& rules = profile.rules_for(op, lhs.type);
  require_binary(rules, lhs, rhs, output);
  for (const quant::QParams* other : {&rhs, &output}) {
    if (other->scale != lhs.scale || other->zero_point != lhs.zero_point ||
        other->type != lhs.type) {
      throw Error({ErrorCode::unsupported, std::string(op),
                   "inputs and output with different scale or zero point",
                   "the same: codes are compared as they are", ""});
    }
  }
  const auto kind =
      op == "minimum" ? sim::MinMaxParams::Kind::minimum : sim::MinMaxParams::Kind::maximum;
  return std::make_shared<sim::MinMax>(sim::MinMaxParams{kind, lhs.type});
}

std::shared_ptr<const sim::Op> lower_mean(const Profile& profile, const quant::QParams& input,
                                          std::vector<int> axes, bool keep_dims, int64_t count,
                                          const quant::QParams& output) {
  const OpRules& rules = profile.rules_for("mean", input.type);
  detail::require_activation("input", input, rules);
  detail::require_output(output, rules);
  if (count < 1 || count > (int64_t{1} << 28)) {
    throw Error({ErrorCode::unsupported, "mean", fmt::format("{} elements", count), "1..2^28", ""});
  }
  sim::MeanParams params;
  params.input_type = input.type;
  params.input_zero_point = input.zero_point.front();
  params.axes = std::move(axes);
  params.keep_dims = keep_dims;
  params.count = count;
  if (rules.algorithm == "tflite.folded_mean") {
    params.requantize = folded_mean_program(rules, input, output, count);
  } else if (rules.algorithm == "requantized_mean") {
    detail::LayerValues values;
    values.output_scale = output.scale.front();
    values.accumulator_scale = {input.scale.front() / static_cast<float>(count)};
    values.real_multiplier = {
        quant::real_multiplier(input.scale.front(), 1.0f, output.scale.front(), rules.multiplier) /
        static_cast<double>(count)};
    values.zero_point = output.zero_point.front();
    values.clamp = {output.quant_min, output.quant_max};
    values.output = output.type;
    params.requantize = detail::bind(rules, values);
  } else {
    throw Error({ErrorCode::unsupported, "mean", "algorithm \"" + rules.algorithm + "\"", "", ""});
  }
  return std::make_shared<sim::Mean>(std::move(params));
}

}  // namespace facsim::backends

namespace facsim::backends::detail {

std::shared_ptr<const sim::Op> lower_node_batch_matmul(const NodeView& node) {
  sim::BatchMatmulParams params =
      lower_batch_matmul(node.profile(), node.qparams(0), node.qparams(1), node.output(),
                         node.attributes().activation);
  params.transpose_lhs = node.attributes().transpose_lhs;
  params.transpose_rhs = node.attributes().transpose_rhs;
  return std::make_shared<sim::BatchMatmul>(std::move(params));
}

std::shared_ptr<const sim::Op> lower_node_mul(const NodeView& node) {
  return std::make_shared<sim::Mul>(lower_mul(node.profile(), node.qparams(0), node.qparams(1),
                                              node.output(), node.attributes().activation));
}

std::shared_ptr<const sim::Op> lower_node_minimum(const NodeView& node) {
  return lower_min_max(node.profile(), "minimum", node.qparams(0), node.qparams(1), node.output());
}

std::shared_ptr<const sim::Op> lower_node_maximum(const NodeView& node) {
  return lower_min_max(node.profile(), "maximum", node.qparams(0), node.qparams(1), node.output());
}

std::shared_ptr<const sim::Op> lower_node_mean(const NodeView& node) {
  const Shape& shape = node.tensor(0).shape;
  std::vector<int> axes;
  int64_t count = 1;
  for (const int64_t axis : node.attributes().axes) {
    if (axis < 0 || axis >= shape.rank()) {
      throw Error({ErrorCode::shape_mismatch, "mean", fmt::format("axis {}", axis),
                   "an axis of " + to_string(shape), ""});
    }
    axes.push_back(static_cast<int>(axis));
    constexpr int64_t kTooMany = int64_t{1} << 29;
    count = std::min(count * std::min(shape[static_cast<int>(axis)], kTooMany), kTooMany);
  }
  return lower_mean(node.profile(), node.qparams(0), std::move(axes), node.attributes().keep_dims,
                    count, node.output());
}

}  // namespace facsim::backends::detail
