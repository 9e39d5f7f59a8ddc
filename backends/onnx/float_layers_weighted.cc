// SPDX-License-Identifier: Apache-2.0
// Layers with parameters: Conv, ConvTranspose, Gemm, MatMul, BatchNormalization.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/graph/permute.h"
#include "backends/onnx/float_network-internal.h"

namespace facsim::backends::onnx {

namespace {

/// [rows, columns] times a factor, turned over if asked.
Tensor scaled_matrix(const Tensor& w, float factor, bool transpose) {
  Tensor out = transpose ? permuted(w, kSwapped) : w.clone();
  if (factor != 1.0f) {
    for (float& v : out.values<float>()) v *= factor;
  }
  return out;
}

/// One value per output, from a list or a row of them (or a single one for all).
Tensor bias_row(const OnnxNode& node, const Tensor& c, int64_t outputs, float factor) {
  const int rank = c.shape().rank();
  const bool row = c.numel() == outputs && (rank == 1 || (rank == 2 && c.shape()[0] == 1));
  if (!row && c.numel() != 1) {
    FloatNetworkBuilder::unsupported(node, "C of shape " + facsim::to_string(c.shape()),
                                     fmt::format("({},) or (1, {})", outputs, outputs));
  }
  Tensor out = Tensor::uninitialized(DType::float32, {outputs});
  for (int64_t i = 0; i < outputs; ++i) {
    out.data<float>()[i] = c.data<float>()[row ? i : 0] * factor;
  }
  return out;
}

std::array<int64_t, 2> kernel_of(const OnnxNode& node, const Tensor& w) {
  if (w.shape().rank() != 4) {
    FloatNetworkBuilder::unsupported(node, "weights of shape " + facsim::to_string(w.shape()),
                                     "two-dimensional kernels (rank 4)");
  }
  for (int axis = 0; axis < 4; ++axis) {
    if (w.shape()[axis] < 1) {
      FloatNetworkBuilder::bad(node, "weights of shape " + facsim::to_string(w.shape()),
                               "extents >= 1");
    }
  }
  return {w.shape()[2], w.shape()[3]};
}

int64_t groups_of(const OnnxNode& node, const Tensor& w) {
  const int64_t groups = integer_attribute(node, "group", 1);
  if (groups < 1 || groups > 65536 || w.shape()[0] % groups != 0) {
    FloatNetworkBuilder::bad(node,
                             fmt::format("group {} of {} weight channels", groups, w.shape()[0]),
                             "a divisor >= 1");
  }
  return groups;
}

void read_conv(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const FloatValue& x = builder.image(node, 0);
  const Tensor& w = builder.weights(node, 1);
  Window window = read_window(node, kernel_of(node, w), x.shape);
  FloatNode layer = builder.layer(node, "Conv2d", {});
  layer.groups = groups_of(node, w);
  layer.out_channels = w.shape()[0];
  layer.in_channels = w.shape()[1] * layer.groups;
  layer.bias = node.inputs.size() > 2 && !node.inputs[2].empty();
  FloatParameters parameters;
  parameters.weight = permuted(w, kOihwToOhwi);
  if (layer.bias) parameters.bias = builder.weights(node, 2);
  layer.inputs = {padded_input(builder, node, x, window).node};
  window.set(layer);
  builder.define(node, builder.add(node, std::move(layer), std::move(parameters)));
}

/// Weights [C, M / group, KH, KW] to output channel first [M, KH, KW, C / group].
Tensor output_first(const Tensor& w, int64_t groups) {
  const Shape& s = w.shape();
  const int64_t in = s[0] / groups, out = s[1], taps = s[2] * s[3];
  Tensor result = Tensor::uninitialized(DType::float32, {out * groups, s[2], s[3], in});
  const float* from = w.data<float>();
  float* to = result.data<float>();
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t o = 0; o < out; ++o) {
        for (int64_t t = 0; t < taps; ++t) to[((g * out + o) * taps + t) * in + i] = *from++;
      }
    }
  }
  return result;
}

void read_conv_transpose(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const FloatValue& x = builder.image(node, 0);
  const Tensor& w = builder.weights(node, 1);
  if (string_attribute(node, "auto_pad", "NOTSET") != "NOTSET") {
    builder.unsupported(node, "auto_pad " + string_attribute(node, "auto_pad", ""), "NOTSET");
  }
  if (find_attribute(node, "output_shape") != nullptr) {
    builder.unsupported(node, "output_shape", "output_padding");
  }
  Window window = read_window(node, kernel_of(node, w), x.shape);
  if (!window.symmetric()) {
    builder.unsupported(node, "pads that differ on opposite sides", "equal ones");
  }
  FloatNode layer = builder.layer(node, "ConvTranspose2d", {x.node});
  window.set(layer);
  layer.groups = groups_of(node, w);
  layer.in_channels = w.shape()[0];
  layer.out_channels = w.shape()[1] * layer.groups;
  const auto extra = integers_attribute(node, "output_padding", {0, 0});
  if (extra.size() != 2 || extra[0] < 0 || extra[1] < 0 || extra[0] >= layer.stride[0] ||
      extra[1] >= layer.stride[1]) {
    builder.unsupported(node, fmt::format("output_padding of {} numbers", extra.size()),
                        "two, each below its stride");
  }
  layer.output_padding = {extra[0], extra[1]};
  layer.bias = node.inputs.size() > 2 && !node.inputs[2].empty();
  FloatParameters parameters;
  parameters.weight = output_first(w, layer.groups);
  if (layer.bias) parameters.bias = builder.weights(node, 2);
  builder.define(node, builder.add(node, std::move(layer), std::move(parameters)));
}

/// y = x w^T + bias over features; w [outputs, inputs].
void add_linear(FloatNetworkBuilder& builder, const OnnxNode& node, Tensor w,
                std::optional<Tensor> bias) {
  const FloatValue& x = builder.activation(node, 0);
  if (x.shape.is_image) {
    builder.unsupported(node, "an input of " + to_string(x.shape), "features [batch, F]");
  }
  FloatNode layer = builder.layer(node, "Linear", {x.node});
  layer.out_channels = w.shape()[0];
  layer.in_channels = w.shape()[1];
  layer.bias = bias.has_value();
  FloatParameters parameters;
  parameters.weight = std::move(w);
  parameters.bias = std::move(bias);
  builder.define(node, builder.add(node, std::move(layer), std::move(parameters)));
}

const Tensor& matrix(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const Tensor& w = builder.weights(node, 1);
  if (w.shape().rank() != 2 || w.numel() == 0) {
    builder.unsupported(node, "weights of shape " + facsim::to_string(w.shape()), "a matrix");
  }
  return w;
}

void read_gemm(FloatNetworkBuilder& builder, const OnnxNode& node) {
  if (integer_attribute(node, "transA", 0) != 0) builder.unsupported(node, "transA", "transA 0");
  const Tensor& b = matrix(builder, node);
  const bool transposed = integer_attribute(node, "transB", 0) != 0;
  Tensor w = scaled_matrix(b, real_attribute(node, "alpha", 1.0f), !transposed);
  std::optional<Tensor> bias;
  if (node.inputs.size() > 2 && !node.inputs[2].empty()) {
    bias =
        bias_row(node, builder.weights(node, 2), w.shape()[0], real_attribute(node, "beta", 1.0f));
  }
  add_linear(builder, node, std::move(w), std::move(bias));
}

void read_matmul(FloatNetworkBuilder& builder, const OnnxNode& node) {
  (void)builder.activation(node, 0);
  add_linear(builder, node, scaled_matrix(matrix(builder, node), 1.0f, true), {});
}

void read_batch_norm(FloatNetworkBuilder& builder, const OnnxNode& node) {
  const FloatValue& x = builder.activation(node, 0);
  if (integer_attribute(node, "training_mode", 0) != 0) {
    builder.unsupported(node, "training_mode 1", "0 (export the network in eval mode)");
  }
  FloatNode layer = builder.layer(node, x.shape.is_image ? "BatchNorm2d" : "BatchNorm1d", {x.node});
  layer.eps = real_attribute(node, "epsilon", 1e-5f);
  if (!(layer.eps >= 0) || !std::isfinite(layer.eps)) {
    builder.bad(node, fmt::format("epsilon {}", layer.eps), ">= 0");
  }
  // ONNX's weighs the old value. A decimal such as 0.1 comes back through its seventh place.
  const double kept = static_cast<double>(real_attribute(node, "momentum", 0.9f));
  if (!(kept >= 0 && kept <= 1)) builder.bad(node, fmt::format("momentum {}", kept), "0..1");
  layer.momentum = static_cast<float>(std::round((1 - kept) * 1e7) / 1e7);
  FloatParameters parameters;
  parameters.weight = builder.weights(node, 1);
  parameters.bias = builder.weights(node, 2);
  parameters.running_mean = builder.weights(node, 3);
  parameters.running_var = builder.weights(node, 4);
  layer.in_channels = layer.out_channels = parameters.weight->numel();
  const float eps = layer.eps;
  builder.define(node, builder.add(node, std::move(layer), std::move(parameters)));
  if (eps == 0) builder.unsupported(node, "epsilon 0", "> 0");
}

}  // namespace

FloatReader find_weighted_reader(std::string_view op) {
  if (op == "Conv") return read_conv;
  if (op == "ConvTranspose") return read_conv_transpose;
  if (op == "Gemm") return read_gemm;
  if (op == "MatMul") return read_matmul;
  if (op == "BatchNormalization") return read_batch_norm;
  return nullptr;
}

}  // namespace facsim::backends::onnx
