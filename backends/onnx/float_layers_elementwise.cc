// SPDX-License-Identifier: Apache-2.0
// Activations, Add, and what vanishes: Identity, Dropout, Cast.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "backends/onnx/float_network-internal.h"

namespace facsim::backends::onnx {

namespace {

void add_activation(FloatNetworkBuilder& builder, const OnnxNode& node, std::string op) {
  const FloatValue& x = builder.activation(node, 0);
  builder.define(node, builder.add(node, builder.layer(node, std::move(op), {x.node})));
}

void read_relu(FloatNetworkBuilder& builder, const OnnxNode& node) {
  add_activation(builder, node, "ReLU");
}
void read_sigmoid(FloatNetworkBuilder& builder, const OnnxNode& node) {
  add_activation(builder, node, "Sigmoid");
}
void read_hard_swish(FloatNetworkBuilder& builder, const OnnxNode& node) {
  add_activation(builder, node, "Hardswish");
}

void read_leaky_relu(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const FloatValue& x = builder.activation(node, 0);
  FloatNode layer = builder.layer(node, "LeakyReLU", {x.node});
  layer.negative_slope = real_attribute(node, "alpha", 0.01f);
  if (!std::isfinite(layer.negative_slope)) {
    builder.bad(node, fmt::format("alpha {}", layer.negative_slope), "a finite number");
  }
  builder.define(node, builder.add(node, std::move(layer)));
}

/// An attribute in old versions, an input in new ones.
float clip_bound(FloatNetworkBuilder& builder, const OnnxNode& node, size_t input,
                 std::string_view name, float absent) {
  if (find_attribute(node, name) != nullptr) return real_attribute(node, name, absent);
  if (input >= node.inputs.size() || node.inputs[input].empty()) return absent;
  const Tensor& bound = builder.weights(node, input);
  if (bound.numel() != 1) builder.bad(node, fmt::format("{} numbers {}", bound.numel(), name), "1");
  return bound.data<float>()[0];
}

void read_clip(FloatNetworkBuilder& builder, const OnnxNode& node) {
  constexpr float kMost = std::numeric_limits<float>::max();
  const float low = clip_bound(builder, node, 1, "min", -kMost);
  const float high = clip_bound(builder, node, 2, "max", kMost);
  if (low == 0 && high == 6) return add_activation(builder, node, "ReLU6");
  if (low == 0 && high >= kMost) return add_activation(builder, node, "ReLU");
  builder.unsupported(node, fmt::format("bounds {} and {}", low, high),
                      "0 and 6 (ReLU6), or 0 and none (ReLU)");
}

/// max(0, min(1, alpha x + beta)), which only hard swish has here: x times it.
void read_hard_sigmoid(FloatNetworkBuilder& builder, const OnnxNode& node) {
  (void)builder.activation(node, 0);
  const float alpha = real_attribute(node, "alpha", 0.2f),
              beta = real_attribute(node, "beta", 0.5f);
  if (std::fabs(alpha - 1.0f / 6) > 1e-6f || beta != 0.5f) {
    builder.unsupported(node, fmt::format("alpha {} and beta {}", alpha, beta),
                        "1/6 and 1/2, times its own input (hard swish)");
  }
  builder.hard_sigmoids.emplace(node.outputs[0], node.inputs[0]);
}

void read_mul(FloatNetworkBuilder& builder, const OnnxNode& node) {
  if (node.inputs.size() != 2) builder.bad(node, "inputs", "two");
  for (size_t i = 0; i < 2; ++i) {
    const auto gate = builder.hard_sigmoids.find(node.inputs[i]);
    if (gate == builder.hard_sigmoids.end() || gate->second != node.inputs[1 - i]) continue;
    const FloatValue& x = builder.activation(node, 1 - i);
    builder.define(node, builder.add(node, builder.layer(node, "Hardswish", {x.node})));
    return;
  }
  builder.unsupported(node, "a product", "x * HardSigmoid(x), the only one there is a layer for");
}

/// One value per channel of the other operand: [F] or [1, F] beside features, [C, 1, 1] beside
/// images.
bool is_channel_row(const Tensor& c, const FloatShape& shape) {
  if (c.dtype() != DType::float32 || c.numel() != shape.channels) return false;
  const int rank = c.shape().rank();
  const int channel_axis = shape.is_image ? rank - 3 : rank - 1;
  return channel_axis >= 0 && rank <= 4 && c.shape()[channel_axis] == shape.channels;
}

void read_add(FloatNetworkBuilder& builder, const OnnxNode& node) {
  if (node.inputs.size() != 2) builder.bad(node, "inputs", "two");
  for (size_t i = 0; i < 2; ++i) {
    const Tensor* constant = builder.constants().find(node.inputs[i]);
    if (constant == nullptr) continue;
    const FloatValue x = builder.activation(node, 1 - i);
    if (is_channel_row(*constant, x.shape) && builder.give_bias(node.inputs[1 - i], x, *constant)) {
      builder.define(node, x);
      return;
    }
    builder.unsupported(node, "a constant added to " + to_string(x.shape),
                        "one per output of the linear layer before it (its bias)");
  }
  const FloatValue &a = builder.activation(node, 0), &b = builder.activation(node, 1);
  if (!(a.shape == b.shape)) {
    builder.unsupported(node, fmt::format("{} added to {}", to_string(b.shape), to_string(a.shape)),
                        "equal shapes");
  }
  builder.define(node, builder.add(node, builder.layer(node, "Add", {a.node, b.node})));
}

void read_nothing(FloatNetworkBuilder& builder, const OnnxNode& node) {
  builder.define(node, builder.activation(node, 0));
}

void read_cast(FloatNetworkBuilder& builder, const OnnxNode& node) {
  if (integer_attribute(node, "to", 0) != static_cast<int64_t>(OnnxType::float32)) {
    builder.unsupported(node, "a cast of activations", "to float32");
  }
  read_nothing(builder, node);
}

}  // namespace

FloatReader find_elementwise_reader(std::string_view op) {
  if (op == "Relu") return read_relu;
  if (op == "Clip") return read_clip;
  if (op == "LeakyRelu") return read_leaky_relu;
  if (op == "Sigmoid") return read_sigmoid;
  if (op == "HardSwish") return read_hard_swish;
  if (op == "HardSigmoid") return read_hard_sigmoid;
  if (op == "Mul") return read_mul;
  if (op == "Add") return read_add;
  if (op == "Identity" || op == "Dropout") return read_nothing;
  if (op == "Cast") return read_cast;
  return nullptr;
}

}  // namespace facsim::backends::onnx
