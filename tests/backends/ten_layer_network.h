// SPDX-License-Identifier: Apache-2.0
// A network with a layer of every kind that a profile computes, and images for it.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/lower/lower.h"
#include "sim/core/error.h"

namespace facsim::test {

/// Numbers that are the same everywhere (Knuth's MMIX generator).
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  int64_t between(int64_t low, int64_t high) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return low + static_cast<int64_t>((state_ >> 33) % static_cast<uint64_t>(high - low + 1));
  }

 private:
  uint64_t state_;
};

/// Convolutions, a depthwise one, an addition, pools, activations and a linear layer, and beside
/// them one on the input with sums of every size; layers that the profile refuses are left out.
/// Scales are powers of two in one convolution, so that ties occur, and everywhere on a platform
/// that has no others.
class TenLayers {
 public:
  explicit TenLayers(const backends::Profile& profile) : profile_(profile) {
    graph_.name = "ten_layers";
    graph_.profile = profile.name;
    const backends::OpRules& rules = first_rules();
    spec_ = rules.activation;
    powers_ = spec_.scale != quant::TensorSpec::Scale::any ||
              rules.weight.scale != quant::TensorSpec::Scale::any;
    int x = activation("x", {1, 8, 8, 3}, 0.05f, -7);
    graph_.inputs = {x};
    x = conv("conv1", x, 6, 3, 1, 1, backends::Activation::relu6, false);
    const int trunk = x;
    x = conv("depthwise", x, 6, 3, 1, 1, backends::Activation::none, true);
    x = conv("conv2", x, 6, 1, 0, 1, backends::Activation::none, false);
    x = elementwise("add", "add", {trunk, x}, 0.09f);
    x = elementwise("mul", "mul", {trunk, x}, 0.1f);
    x = pool("average", x);
    x = elementwise("leaky", "leaky_relu", {x}, 0.07f);
    x = conv("conv3", x, 8, 3, 1, 1, backends::Activation::relu, false);
    x = elementwise("sigmoid", "sigmoid", {x}, 1.0f / 256);
    x = conv("conv4", x, 8, 2, 0, 2, backends::Activation::none, false);
    x = global("mean", x);
    x = linear("linear", x, 10);
    graph_.outputs = {x};
    add_steep();
  }

  const backends::IntGraph& graph() const { return graph_; }

  /// Codes at random, of the whole range and of parts of it, and images that take the first layer's
  /// sums as far as they go: each channel's weights decide which end of the range a tap is at.
  std::vector<Tensor> images(int64_t count) {
    const backends::IntTensor& x = graph_.tensors[static_cast<size_t>(graph_.inputs[0])];
    const sim::IntType type = x.qparams->type;
    Shape shape = x.shape;
    shape[0] = count;
    Tensor tensor = codes(type, shape);
    const int64_t per_image = x.shape.numel();
    for (int64_t n = 0; n < count; ++n) {
      for (int64_t i = 0; i < per_image && n % 2 == 1; ++i) {
        tensor.set_int(n * per_image + i, directed_code(n / 2, i, x.shape));
      }
    }
    std::vector<Tensor> out;
    out.push_back(std::move(tensor));
    return out;
  }

 private:
  /// A layer beside the others, on the network's input: weights at the ends of their range and a
  /// multiplier near 1, so that sums as large as any layer's, and single steps of them, show.
  void add_steep() {
    const int input = graph_.inputs[0];
    steep_ = true;
    const int made = profile_.ops.contains("conv2d")
                         ? conv("steep", input, 4, 5, 0, 1, backends::Activation::none, false)
                         : linear("steep", input, 4);
    steep_ = false;
    if (made != input && made != graph_.outputs[0]) graph_.outputs.push_back(made);
  }

  /// One of the kinds of directed images: both ends of the range by the sign of a channel's weights
  /// of the last layer that reads the input (in windows that begin at a multiple of their extent),
  /// or stripes and chessboards of both ends that grow from image to image.
  int64_t directed_code(int64_t kind, int64_t i, const Shape& shape) {
    const sim::IntType type = graph_.tensors[static_cast<size_t>(graph_.inputs[0])].qparams->type;
    const int64_t c = i % shape[3], w = i / shape[3] % shape[2], h = i / shape[3] / shape[2];
    bool high = ((h >> kind % 3) + (w >> kind / 3 % 3)) % 2 == 0;
    for (const backends::IntNode& node : graph_.nodes) {
      if (kind % 2 != 0 || node.inputs[0] != graph_.inputs[0] || node.inputs.size() < 2) continue;
      const backends::IntTensor& weights = tensor(node.inputs[1]);
      if (!weights.data) continue;
      const Shape& s = weights.data->shape();
      const int64_t channel = kind / 4 % s[0];
      const int64_t at = s.rank() == 4 ? ((channel * s[1] + h % s[1]) * s[2] + w % s[2]) * s[3] + c
                                       : channel * s[1] + i;
      high = (weights.data->int_at(at) >= weights.qparams->zero_point[0]) == (kind % 4 == 0);
    }
    return high ? type.max() : type.min();
  }

  const backends::OpRules& first_rules() const {
    for (const char* op : {"conv2d", "linear"}) {
      if (profile_.ops.contains(op)) return profile_.rules(op);
    }
    return profile_.ops.begin()->second;
  }

  Tensor codes(sim::IntType type, const Shape& shape) {
    Tensor tensor = Tensor::uninitialized(type.storage(), shape);
    for (int64_t i = 0; i < tensor.numel(); ++i)
      tensor.set_int(i, dice_.between(type.min(), type.max()));
    return tensor;
  }

  float scale(float wanted) const {
    return powers_ ? std::exp2(std::round(std::log2(wanted))) : wanted;
  }

  int activation(const std::string& name, const Shape& shape, float wanted, int64_t zero_point) {
    quant::QParams q;
    q.type = spec_.type;
    q.quant_min = spec_.quant_min();
    q.quant_max = spec_.quant_max();
    q.scale = {scale(wanted * (q.type.bits > 8 ? 1.0f / 256 : 1.0f))};
    using Rule = quant::TensorSpec::ZeroPoint;
    const int64_t middle = q.type.is_signed ? 0 : int64_t{1} << (q.type.bits - 1);
    q.zero_point = {spec_.zero_point == Rule::any      ? middle + zero_point
                    : spec_.zero_point == Rule::middle ? middle
                                                       : 0};
    graph_.tensors.push_back({name, q.type.storage(), shape, q, {}});
    return static_cast<int>(graph_.tensors.size()) - 1;
  }

  int constant(const std::string& name, Tensor data, std::optional<quant::QParams> q) {
    graph_.tensors.push_back({name, data.dtype(), data.shape(), std::move(q), std::move(data)});
    return static_cast<int>(graph_.tensors.size()) - 1;
  }

  const backends::IntTensor& tensor(int t) const { return graph_.tensors[static_cast<size_t>(t)]; }

  /// Adds a node whose output was made last; takes back what was made since `tensors` if the
  /// profile refuses it, and returns `otherwise`.
  int keep(backends::IntNode node, size_t tensors, int otherwise) {
    try {
      backends::IntGraph trial = graph_;
      trial.nodes.push_back(node);
      trial.outputs = {node.output};
      backends::check(trial);
      backends::lower_node(trial, node, profile_);
    } catch (const Error&) {
      graph_.tensors.resize(tensors);
      return otherwise;
    }
    graph_.nodes.push_back(std::move(node));
    return graph_.nodes.back().output;
  }

  /// Weights and bias of a layer with `taps` products a sum, such that results cover the codes.
  std::vector<int> parameters(const std::string& name, const std::string& op, const Shape& shape,
                              int64_t taps, float input_scale, float output_scale, bool exact) {
    const backends::OpRules& rules = profile_.rules(op);
    const int64_t channels = shape[0];
    quant::QParams q;
    q.type = rules.weight.type;
    q.quant_min = rules.weight.quant_min();
    q.quant_max = rules.weight.quant_max();
    const double spread = std::exp2(q.type.bits - 1) * 0.58 * std::exp2(spec_.type.bits - 1) * 0.58;
    const double multiplier = steep_ ? 0.9
                                     : 0.4 * std::exp2(spec_.type.bits - 1) /
                                           (spread * std::sqrt(static_cast<double>(taps)));
    const double unit = multiplier * output_scale / input_scale;
    const bool per_channel =
        rules.weight.granularity == quant::TensorSpec::Granularity::per_channel;
    q.scale.clear();
    for (int64_t c = 0; c < (per_channel ? channels : 1); ++c) {
      const double wanted = unit * (exact ? 1 : 1 + 0.13 * static_cast<double>(c));
      // A power-of-two whole multiplier: results on ties.
      const double power = std::exp2(std::round(std::log2(wanted * input_scale / output_scale)));
      q.scale.push_back(exact || powers_ ? static_cast<float>(power * output_scale / input_scale)
                                         : static_cast<float>(wanted));
    }
    const int64_t middle = q.type.is_signed ? 0 : int64_t{1} << (q.type.bits - 1);
    q.zero_point.assign(q.scale.size(),
                        rules.weight.zero_point == quant::TensorSpec::ZeroPoint::zero ? 0 : middle);
    q.channel_axis = per_channel ? 0 : -1;
    Tensor weights = Tensor::uninitialized(q.type.storage(), shape);
    for (int64_t i = 0; i < weights.numel(); ++i) {
      const int64_t code = dice_.between(q.quant_min, q.quant_max);
      const bool high = code >= (q.quant_min + q.quant_max + 1) / 2;
      weights.set_int(i, !steep_ ? code : high ? q.quant_max : q.quant_min);
    }
    std::vector<int> inputs = {constant(name + ".w", std::move(weights), q)};
    std::vector<double> bias;
    for (int64_t c = 0; c < channels; ++c) {
      bias.push_back(static_cast<double>(dice_.between(-4000, 4000)) * 0.013 * output_scale);
    }
    const backends::LayerBias stored = backends::quantize_bias(rules, bias, input_scale, q.scale);
    if (!stored.codes.empty()) {
      const bool real = stored.codes.dtype() == DType::float32;
      inputs.push_back(
          constant(name + ".b", stored.codes, real ? std::nullopt : std::optional(stored.qparams)));
    }
    return inputs;
  }

  int conv(const std::string& name, int x, int64_t channels, int64_t kernel, int64_t pad,
           int64_t stride, backends::Activation activation_kind, bool depthwise) {
    const char* op = depthwise ? "depthwise_conv2d" : "conv2d";
    if (!profile_.ops.contains(op)) return x;
    const size_t tensors = graph_.tensors.size();
    const Shape in = tensor(x).shape;
    if (in.rank() != 4) return x;
    if (depthwise) channels = in[3];
    const float output_scale = scale(0.06f * (spec_.type.bits > 8 ? 1.0f / 256 : 1.0f));
    backends::IntNode node{name, op, {x}, -1, {}, ""};
    node.attributes.window.kernel = {kernel, kernel};
    node.attributes.window.stride = {stride, stride};
    node.attributes.window.padding = {pad, pad, pad, pad};
    node.attributes.activation = activation_kind;
    if (depthwise) node.attributes.groups = channels;
    const int64_t ic = depthwise ? 1 : in[3];
    try {
      for (const int t : parameters(name, op, {channels, kernel, kernel, ic}, kernel * kernel * ic,
                                    tensor(x).qparams->scale[0], output_scale, name == "conv2")) {
        node.inputs.push_back(t);
      }
    } catch (const Error&) {
      graph_.tensors.resize(tensors);
      return x;
    }
    const int64_t extent = (in[1] + 2 * pad - kernel) / stride + 1;
    node.output = activation(name + ".y", {1, extent, extent, channels}, 0.06f, 11);
    const int made = keep(node, tensors, -1);
    if (made >= 0 || activation_kind == backends::Activation::none) return made >= 0 ? made : x;
    return conv(name, x, channels, kernel, pad, stride, backends::Activation::none, depthwise);
  }

  int linear(const std::string& name, int x, int64_t channels) {
    if (!profile_.ops.contains("linear")) return x;
    const size_t tensors = graph_.tensors.size();
    const int64_t taps = tensor(x).shape.numel();
    const float output_scale = scale(0.06f * (spec_.type.bits > 8 ? 1.0f / 256 : 1.0f));
    backends::IntNode node{name, "linear", {x}, -1, {}, ""};
    try {
      for (const int t : parameters(name, "linear", {channels, taps}, taps,
                                    tensor(x).qparams->scale[0], output_scale, false)) {
        node.inputs.push_back(t);
      }
    } catch (const Error&) {
      graph_.tensors.resize(tensors);
      return x;
    }
    node.output = activation(name + ".y", {1, channels}, 0.06f, 3);
    return keep(node, tensors, x);
  }

  /// With an output scale of its own, or else the input's.
  int elementwise(const std::string& name, const std::string& op, std::vector<int> inputs,
                  float wanted) {
    const int x = inputs.back();
    for (const bool own_scale : {true, false}) {
      const size_t tensors = graph_.tensors.size();
      backends::IntNode node{name, op, inputs, -1, {}, ""};
      node.attributes.alpha = 0.3f;
      const bool sigmoid = op == "sigmoid";
      node.output = activation(name + ".y", tensor(x).shape, wanted, sigmoid ? -128 : 5);
      if (!own_scale) graph_.tensors.back().qparams = tensor(x).qparams;
      if (const int made = keep(node, tensors, -1); made >= 0) return made;
    }
    return x;
  }

  int pool(const std::string& name, int x) {
    for (const bool own_scale : {true, false}) {
      for (const int64_t pad : {1, 0}) {
        const size_t tensors = graph_.tensors.size();
        if (tensor(x).shape.rank() != 4 || tensor(x).shape[1] < 4) return x;
        backends::IntNode node{name, "avg_pool2d", {x}, -1, {}, ""};
        node.attributes.window.kernel = {3, 3};
        node.attributes.window.padding = {pad, pad, pad, pad};
        Shape shape = tensor(x).shape;
        shape[1] = shape[2] = shape[1] + 2 * pad - 2;
        node.output = activation(name + ".y", shape, 0.04f, 2);
        if (!own_scale) graph_.tensors.back().qparams = tensor(x).qparams;
        if (const int made = keep(node, tensors, -1); made >= 0) return made;
      }
    }
    return x;
  }

  int global(const std::string& name, int x) {
    if (tensor(x).shape.rank() != 4) return x;
    for (const char* op : {"mean", "global_avg_pool"}) {
      for (const bool own_scale : {true, false}) {
        const size_t tensors = graph_.tensors.size();
        backends::IntNode node{name, op, {x}, -1, {}, ""};
        node.attributes.axes = {1, 2};
        node.output = activation(name + ".y", {1, 1, 1, tensor(x).shape[3]}, 0.03f, -4);
        if (!own_scale) graph_.tensors.back().qparams = tensor(x).qparams;
        if (const int made = keep(node, tensors, -1); made >= 0) return made;
      }
    }
    return x;
  }

  const backends::Profile& profile_;
  quant::TensorSpec spec_;
  bool powers_ = false;
  bool steep_ = false;  ///< the layer that is being added is the steep one
  backends::IntGraph graph_;
  Dice dice_{20260112};
};

}  // namespace facsim::test
