// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "backends/lower/node-internal.h"
#include "backends/lower/requantize-internal.h"
#include "backends/lower/tensor_ops.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

/// What conv2d and linear have in common.
struct Common {
  std::vector<int64_t> weight_zero_point;
  Tensor bias;
  sim::Requantizer requantize;
};

/// The rules of a layer: of the variant that its types choose; else, where the weights have one
/// scale and the platform has a variant `per_tensor`, of that.
const OpRules& layer_rules(const Profile& profile, const char* op, const quant::QParams& input,
                           const quant::QParams& weights, const LayerBias& bias) {
  std::optional<DType> bias_dtype;
  if (!bias.codes.empty()) bias_dtype = bias.codes.dtype();
  const OpRules& rules = profile.rules_for(op, input.type, bias_dtype, weights.type);
  if (weights.scale.size() == 1 && &rules == &profile.rules(op)) {
    const auto per_tensor = profile.ops.find(std::string(op) + " per_tensor");
    if (per_tensor != profile.ops.end()) return per_tensor->second;
  }
  return rules;
}

void require_weights(const OpRules& rules, const Tensor& weights, const quant::QParams& qparams) {
  quant::check(qparams, "weights");
  detail::require_type("weights", qparams.type, rules.weight_types);
  if (weights.shape().rank() == 0 || weights.empty()) {
    throw Error({ErrorCode::shape_mismatch, "weights", to_string(weights.shape()),
                 "output channels first, no empty axis", ""});
  }
  if (weights.dtype() != qparams.type.storage()) {
    throw Error({ErrorCode::bad_value, "weights", std::string(to_string(weights.dtype())),
                 std::string(to_string(qparams.type.storage())), ""});
  }
  if (qparams.per_channel() && (qparams.channel_axis != 0 ||
                                static_cast<int64_t>(qparams.scale.size()) != weights.shape()[0])) {
    throw Error({ErrorCode::shape_mismatch, "weights",
                 fmt::format("{} scales on axis {}", qparams.scale.size(), qparams.channel_axis),
                 fmt::format("{} on axis 0, or one", weights.shape()[0]), ""});
  }
  if (rules.weight.zero_point == quant::TensorSpec::ZeroPoint::zero) {
    for (const int64_t zero_point : qparams.zero_point) {
      if (zero_point != 0) {
        throw Error({ErrorCode::unsupported, "weights", fmt::format("zero point {}", zero_point),
                     "0", "the profile's /tensors/weight/zero_point"});
      }
    }
  }
  for (int64_t i = 0; i < weights.numel(); ++i) {
    const int64_t code = weights.int_at(i);
    if (code < qparams.type.min() || code > qparams.type.max()) {
      throw Error({ErrorCode::bad_value, "weights", fmt::format("code {} at {}", code, i),
                   fmt::format("{}..{}", qparams.type.min(), qparams.type.max()), ""});
    }
  }
}

/// A bias stored in accumulator units must have their scale. Bound: TFLite kernel_util.cc
/// PopulateConvolutionQuantizationParams, |s_in * s_w - s_bias| / s_out <= 0.02.
void require_bias_scale(const OpRules& rules, const LayerBias& bias, const quant::QParams& input,
                        const quant::QParams& weights, const quant::QParams& output) {
  const bool checked = rules.bias.kind == BiasSpec::Kind::integer &&
                       rules.bias.scale == BiasSpec::Scale::input_times_weight &&
                       !bias.codes.empty() && bias.codes.dtype() != DType::float32;
  if (!checked) return;
  const auto& scales = bias.qparams.scale;
  if (scales.size() != 1 && scales.size() != weights.scale.size()) {
    throw Error({ErrorCode::shape_mismatch, "bias", fmt::format("{} scales", scales.size()),
                 fmt::format("1 or {}", weights.scale.size()), ""});
  }
  for (size_t c = 0; c < weights.scale.size(); ++c) {
    const double unit = static_cast<double>(input.scale.front()) * weights.scale[c] *
                        products_per_accumulator_step(rules.accumulator);
    const double own = scales[scales.size() == 1 ? 0 : c];
    if (std::abs(unit - own) > 0.02 * output.scale.front()) {
      throw Error({ErrorCode::bad_value, fmt::format("bias, channel {}", c),
                   fmt::format("scale {}", own),
                   fmt::format("input_scale * weight_scale = {}", unit), ""});
    }
  }
}

Common lower_common(const OpRules& rules, const quant::QParams& input, const Tensor& weights,
                    const quant::QParams& weight_qparams, const LayerBias& bias,
                    const quant::QParams& output, Activation activation) {
  detail::require_activation("input", input, rules);
  detail::require_output(output, rules);
  require_weights(rules, weights, weight_qparams);
  if (!bias.codes.empty() && bias.codes.numel() != weights.shape()[0]) {
    throw Error({ErrorCode::shape_mismatch, "bias", fmt::format("{} values", bias.codes.numel()),
                 fmt::format("{}", weights.shape()[0]), ""});
  }
  require_bias_scale(rules, bias, input, weight_qparams, output);
  Common common;
  common.weight_zero_point = weight_qparams.zero_point;
  common.bias = accumulator_bias(rules, bias, input.scale.front(), weight_qparams.scale);
  common.requantize = make_requantizer(
      rules, {input.scale.front(), weight_qparams.scale, output, activation}, bias);
  return common;
}

}  // namespace

namespace {

/// A convolution by the rules of `op`.
sim::Conv2dParams lower_layer(const Profile& profile, const char* op, const sim::Window2d& window,
                              int64_t groups, const quant::QParams& input, const Tensor& weights,
                              const quant::QParams& weight_qparams, const LayerBias& bias,
                              const quant::QParams& output, Activation activation) {
  if (weights.shape().rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, "weights", to_string(weights.shape()),
                 "(out_channels, height, width, in_channels / groups)", ""});
  }
  const OpRules& rules = layer_rules(profile, op, input, weight_qparams, bias);
  Common common = lower_common(rules, input, weights, weight_qparams, bias, output, activation);
  sim::Conv2dParams params;
  params.window = window;
  params.groups = groups;
  params.input_type = input.type;
  params.weight_type = weight_qparams.type;
  params.input_zero_point = input.zero_point.front();
  params.weight_zero_point = std::move(common.weight_zero_point);
  params.padding_value = rules.padding_value(input.zero_point.front());
  params.accumulator = rules.accumulator;
  params.weights = weights;
  params.bias = std::move(common.bias);
  params.requantize = std::move(common.requantize);
  return params;
}

}  // namespace

sim::Conv2dParams lower_conv2d(const Profile& profile, const sim::Window2d& window, int64_t groups,
                               const quant::QParams& input, const Tensor& weights,
                               const quant::QParams& weight_qparams, const LayerBias& bias,
                               const quant::QParams& output, Activation activation) {
  const bool depthwise = groups > 1 && weights.shape().rank() == 4 && weights.shape()[3] == 1;
  return lower_layer(profile, depthwise ? "depthwise_conv2d" : "conv2d", window, groups, input,
                     weights, weight_qparams, bias, output, activation);
}

sim::Conv2dParams lower_depthwise_conv2d(const Profile& profile, const sim::Window2d& window,
                                         int64_t groups, const quant::QParams& input,
                                         const Tensor& weights,
                                         const quant::QParams& weight_qparams,
                                         const LayerBias& bias, const quant::QParams& output,
                                         Activation activation) {
  return lower_layer(profile, "depthwise_conv2d", window, groups, input, weights, weight_qparams,
                     bias, output, activation);
}

sim::TransposeConv2dParams lower_transpose_conv2d(
    const Profile& profile, const sim::Window2d& window,
    const std::array<int64_t, 2>& output_padding, int64_t groups, const quant::QParams& input,
    const Tensor& weights, const quant::QParams& weight_qparams, const LayerBias& bias,
    const quant::QParams& output, Activation activation) {
  return {lower_layer(profile, "transpose_conv2d", window, groups, input, weights, weight_qparams,
                      bias, output, activation),
          output_padding};
}

sim::LinearParams lower_linear(const Profile& profile, const quant::QParams& input,
                               const Tensor& weights, const quant::QParams& weight_qparams,
                               const LayerBias& bias, const quant::QParams& output,
                               Activation activation) {
  if (weights.shape().rank() != 2) {
    throw Error({ErrorCode::shape_mismatch, "weights", to_string(weights.shape()),
                 "(out_features, in_features)", ""});
  }
  const OpRules& rules = layer_rules(profile, "linear", input, weight_qparams, bias);
  Common common = lower_common(rules, input, weights, weight_qparams, bias, output, activation);
  sim::LinearParams params;
  params.input_type = input.type;
  params.weight_type = weight_qparams.type;
  params.input_zero_point = input.zero_point.front();
  params.weight_zero_point = std::move(common.weight_zero_point);
  params.accumulator = rules.accumulator;
  params.weights = weights;
  params.bias = std::move(common.bias);
  params.requantize = std::move(common.requantize);
  return params;
}

}  // namespace facsim::backends

namespace facsim::backends::detail {

std::shared_ptr<const sim::Op> lower_node_conv2d(const NodeView& node) {
  return std::make_shared<sim::Conv2d>(lower_conv2d(node.profile(), node.attributes().window,
                                                    node.attributes().groups, node.qparams(0),
                                                    node.constant(1), node.qparams(1), node.bias(2),
                                                    node.output(), node.attributes().activation));
}

std::shared_ptr<const sim::Op> lower_node_depthwise_conv2d(const NodeView& node) {
  return std::make_shared<sim::Conv2d>(
      lower_depthwise_conv2d(node.profile(), node.attributes().window, node.attributes().groups,
                             node.qparams(0), node.constant(1), node.qparams(1), node.bias(2),
                             node.output(), node.attributes().activation));
}

std::shared_ptr<const sim::Op> lower_node_transpose_conv2d(const NodeView& node) {
  const NodeAttributes& attributes = node.attributes();
  return std::make_shared<sim::TransposeConv2d>(
      lower_transpose_conv2d(node.profile(), attributes.window, attributes.output_padding,
                             attributes.groups, node.qparams(0), node.constant(1), node.qparams(1),
                             node.bias(2), node.output(), attributes.activation));
}

std::shared_ptr<const sim::Op> lower_node_linear(const NodeView& node) {
  return std::make_shared<sim::Linear>(lower_linear(node.profile(), node.qparams(0),
                                                    node.constant(1), node.qparams(1), node.bias(2),
                                                    node.output(), node.attributes().activation));
}

}  // namespace facsim::backends::detail
