// SPDX-License-Identifier: Apache-2.0
// Networks for a profile, made layer by layer; layers that the profile refuses are left out.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/lower/lower.h"
#include "quant/multiplier.h"
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

/// What a layer's weights are, less their zero point.
enum class Weights {
  any,    ///< every code, at random
  ends,   ///< one end of the range or the other, and a multiplier near 1: large sums show
  signs,  ///< as ends, but of one magnitude: sums are multiples of it
  small,  ///< -2..2 at random: few sums, that all occur where the codes are all there
  steps,  ///< 32, 1, 0, 0, …: a sum of two codes is any number
  line,   ///< the greatest or the least: a sum of one code
};

/// What real multipliers a layer's channels have.
enum class Scales {
  spread,             ///< of any size
  powers,             ///< whole powers of two as near as scales can be: results on ties
  just_below_powers,  ///< the first channel's is below one by less than 2^-32, and in other
                      ///< precisions another; the others are of any size
};

struct Layer {
  std::string name;
  int64_t channels = 1;
  std::array<int64_t, 2> kernel{1, 1}, stride{1, 1};
  int64_t pad = 0;
  backends::Activation activation = backends::Activation::none;
  Weights weights = Weights::any;
  Scales scales = Scales::spread;
};

class LayerBuilder {
 public:
  const backends::IntGraph& graph() const { return graph_; }

 protected:
  LayerBuilder(const backends::Profile& profile, const std::string& name) : profile_(profile) {
    graph_.name = name;
    graph_.profile = profile.name;
    const backends::OpRules& rules = first_rules();
    spec_ = rules.activation;
    powers_ = spec_.scale != quant::TensorSpec::Scale::any ||
              rules.weight.scale != quant::TensorSpec::Scale::any;
  }

  const backends::OpRules& first_rules() const {
    for (const char* op : {"conv2d", "linear"}) {
      if (profile_.ops.contains(op)) return profile_.rules(op);
    }
    return profile_.ops.begin()->second;
  }

  int input(const std::string& name, const Shape& shape, float wanted, int64_t zero_point) {
    graph_.inputs.push_back(activation(name, shape, scale(wanted), zero_point));
    return graph_.inputs.back();
  }

  /// Makes a tensor an output of the network, unless it is one already or an input: what a refused
  /// layer would have read.
  void add_output(int t) {
    const bool known = std::count(graph_.outputs.begin(), graph_.outputs.end(), t) > 0 ||
                       std::count(graph_.inputs.begin(), graph_.inputs.end(), t) > 0;
    if (!known) graph_.outputs.push_back(t);
  }

  Tensor codes(sim::IntType type, const Shape& shape) {
    Tensor tensor = Tensor::uninitialized(type.storage(), shape);
    for (int64_t i = 0; i < tensor.numel(); ++i)
      tensor.set_int(i, dice_.between(type.min(), type.max()));
    return tensor;
  }

  float scale(float wanted) const {
    const float unit = spec_.type.bits > 8 ? wanted / 256 : wanted;
    return powers_ ? std::exp2(std::round(std::log2(unit))) : unit;
  }

  int activation(const std::string& name, const Shape& shape, float scale, int64_t zero_point) {
    quant::QParams q;
    q.type = spec_.type;
    q.quant_min = spec_.quant_min();
    q.quant_max = spec_.quant_max();
    q.scale = {scale};
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
  std::vector<int> parameters(const Layer& layer, const std::string& op, const Shape& shape,
                              int64_t taps, float input_scale, float output_scale) {
    const backends::OpRules& rules = profile_.rules(op);
    const int64_t channels = shape[0];
    quant::QParams q;
    q.type = rules.weight.type;
    q.quant_min = rules.weight.quant_min();
    q.quant_max = rules.weight.quant_max();
    const bool per_channel =
        rules.weight.granularity == quant::TensorSpec::Granularity::per_channel;
    q.scale.clear();
    for (int64_t c = 0; c < (per_channel ? channels : 1); ++c) {
      q.scale.push_back(weight_scale(layer, q, taps, input_scale, output_scale, c));
    }
    const int64_t middle = q.type.is_signed ? 0 : int64_t{1} << (q.type.bits - 1);
    q.zero_point.assign(q.scale.size(),
                        rules.weight.zero_point == quant::TensorSpec::ZeroPoint::zero ? 0 : middle);
    q.channel_axis = per_channel ? 0 : -1;
    Tensor weights = Tensor::uninitialized(q.type.storage(), shape);
    for (int64_t i = 0; i < weights.numel(); ++i) {
      weights.set_int(i, weight(layer.weights, q, i, weights.numel() / channels));
    }
    std::vector<int> inputs = {constant(layer.name + ".w", std::move(weights), q)};
    std::vector<double> bias;
    for (int64_t c = 0; c < channels; ++c) {
      bias.push_back(static_cast<double>(dice_.between(-4000, 4000)) * 0.013 * output_scale);
    }
    const backends::LayerBias stored = backends::quantize_bias(rules, bias, input_scale, q.scale);
    if (!stored.codes.empty()) {
      const bool real = stored.codes.dtype() == DType::float32;
      inputs.push_back(constant(layer.name + ".b", stored.codes,
                                real ? std::nullopt : std::optional(stored.qparams)));
    }
    return inputs;
  }

  int64_t weight(Weights kind, const quant::QParams& q, int64_t i, int64_t per_channel) {
    const int64_t code = dice_.between(q.quant_min, q.quant_max);
    const bool high = code >= (q.quant_min + q.quant_max + 1) / 2;
    const int64_t zero = q.zero_point[0];
    switch (kind) {
      case Weights::any:
        return code;
      case Weights::ends:
      case Weights::line:
        return high ? q.quant_max : q.quant_min;
      case Weights::signs: {
        const int64_t magnitude = std::min(q.quant_max - zero, zero - q.quant_min);
        if (magnitude > 0) return high ? zero + magnitude : zero - magnitude;
        return high ? q.quant_max : zero;
      }
      case Weights::small:
        return std::clamp(zero + (code - q.quant_min) % 5 - 2, q.quant_min, q.quant_max);
      case Weights::steps:
        return i % per_channel == 0   ? std::min(zero + 32, q.quant_max)
               : i % per_channel == 1 ? std::min(zero + 1, q.quant_max)
                                      : zero;
    }
    return zero;
  }

  float weight_scale(const Layer& layer, const quant::QParams& q, int64_t taps, float input_scale,
                     float output_scale, int64_t c) const {
    const bool exact =
        layer.scales == Scales::powers || (layer.scales == Scales::just_below_powers && c == 0);
    const double unit =
        wanted_multiplier(layer.weights, q.type.bits, taps) * output_scale / input_scale;
    const double wanted = unit * (exact ? 1 : 1 + 0.13 * static_cast<double>(c));
    if (!exact && !powers_) return static_cast<float>(wanted);
    // A power-of-two whole multiplier: results on ties.
    const double power = std::exp2(std::round(std::log2(wanted * input_scale / output_scale)));
    return static_cast<float>(power * output_scale / input_scale);
  }

  double wanted_multiplier(Weights kind, int weight_bits, int64_t taps) const {
    const double codes = std::exp2(spec_.type.bits - 1), weights = std::exp2(weight_bits - 1);
    const double root = std::sqrt(static_cast<double>(taps));
    switch (kind) {
      case Weights::any:
        return 0.4 * codes / (weights * 0.58 * codes * 0.58 * root);
      case Weights::ends:
      case Weights::signs:
        return 0.9;
      case Weights::small:
        return 0.8 * codes / (1.4 * codes * 0.58 * root);  // two thirds of the sums
      case Weights::steps:
        return 1.0 / 33;
      case Weights::line:
        return 0.35 / weights;
    }
    return 1;
  }

  /// An output scale near the wanted one, as the layer's multipliers ask for.
  float output_scale(const Layer& layer, int weight_bits, int64_t taps, float input_scale,
                     float wanted) const {
    if (layer.scales != Scales::just_below_powers || powers_) return wanted;
    using Precision = quant::MultiplierSpec::ScaleProduct;
    const double power =
        std::exp2(std::round(std::log2(wanted_multiplier(layer.weights, weight_bits, taps))));
    float best = wanted;
    size_t most = 0;
    float candidate = wanted;
    for (int i = 0; i < 40000; ++i, candidate = std::nextafter(candidate, 1.0f)) {
      const auto weight = static_cast<float>(power * candidate / input_scale);
      const double real =
          quant::real_multiplier(input_scale, weight, candidate, Precision::float64);
      const double below = 1 - real / power;
      if (!(below > 0x1p-40 && below < 0x1p-32)) continue;
      std::set<double> reals;
      for (const Precision precision :
           {Precision::float64, Precision::float32, Precision::float32_then_float64}) {
        for (const auto formula : {quant::MultiplierSpec::Formula::division,
                                   quant::MultiplierSpec::Formula::reciprocal}) {
          quant::MultiplierSpec spec;
          spec.scale_product = precision;
          spec.formula = formula;
          reals.insert(quant::real_multiplier(input_scale, weight, candidate, spec));
        }
      }
      if (reals.size() > most) best = candidate;
      most = std::max(most, reals.size());
    }
    return best;
  }

  int conv(const Layer& layer, int x) { return convolution(layer, x, "conv2d"); }
  int depthwise(const Layer& layer, int x) { return convolution(layer, x, "depthwise_conv2d"); }

  int convolution(Layer layer, int x, const std::string& op) {
    if (!profile_.ops.contains(op)) return x;
    const size_t tensors = graph_.tensors.size();
    const Shape in = tensor(x).shape;
    if (in.rank() != 4) return x;
    const bool depthwise = op == "depthwise_conv2d";
    if (depthwise) layer.channels = in[3];
    const float input_scale = tensor(x).qparams->scale[0];
    const int64_t ic = depthwise ? 1 : in[3];
    const auto [kh, kw] = layer.kernel;
    const float made_scale = output_scale(layer, profile_.rules(op).weight.type.bits, kh * kw * ic,
                                          input_scale, scale(0.06f));
    backends::IntNode node{layer.name, op, {x}, -1, {}, ""};
    node.attributes.window.kernel = layer.kernel;
    node.attributes.window.stride = layer.stride;
    node.attributes.window.padding = {layer.pad, layer.pad, layer.pad, layer.pad};
    node.attributes.activation = layer.activation;
    if (depthwise) node.attributes.groups = layer.channels;
    try {
      for (const int t : parameters(layer, op, {layer.channels, kh, kw, ic}, kh * kw * ic,
                                    input_scale, made_scale)) {
        node.inputs.push_back(t);
      }
    } catch (const Error&) {
      graph_.tensors.resize(tensors);
      return x;
    }
    const int64_t rows = (in[1] + 2 * layer.pad - kh) / layer.stride[0] + 1;
    const int64_t columns = (in[2] + 2 * layer.pad - kw) / layer.stride[1] + 1;
    node.output = activation(layer.name + ".y", {1, rows, columns, layer.channels}, made_scale, 11);
    const int made = keep(node, tensors, -1);
    if (made >= 0 || layer.activation == backends::Activation::none) return made >= 0 ? made : x;
    layer.activation = backends::Activation::none;
    return convolution(layer, x, op);
  }

  /// Of all elements of an image, or of its last axis.
  int linear(const Layer& layer, int x) {
    if (!profile_.ops.contains("linear")) return x;
    const size_t tensors = graph_.tensors.size();
    Shape shape = tensor(x).shape;
    const bool rows = layer.weights == Weights::steps;
    const int64_t taps = rows ? shape[shape.rank() - 1] : shape.numel();
    const float made_scale = scale(0.06f);
    backends::IntNode node{layer.name, "linear", {x}, -1, {}, ""};
    try {
      for (const int t : parameters(layer, "linear", {layer.channels, taps}, taps,
                                    tensor(x).qparams->scale[0], made_scale)) {
        node.inputs.push_back(t);
      }
    } catch (const Error&) {
      graph_.tensors.resize(tensors);
      return x;
    }
    if (rows) shape[shape.rank() - 1] = layer.channels;
    if (!rows) shape = {1, layer.channels};
    node.output = activation(layer.name + ".y", shape, made_scale, 3);
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
      node.output = activation(name + ".y", tensor(x).shape, scale(wanted), sigmoid ? -128 : 5);
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
        node.output = activation(name + ".y", shape, scale(0.04f), 2);
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
        node.output = activation(name + ".y", {1, 1, 1, tensor(x).shape[3]}, scale(0.03f), -4);
        if (!own_scale) graph_.tensors.back().qparams = tensor(x).qparams;
        if (const int made = keep(node, tensors, -1); made >= 0) return made;
      }
    }
    return x;
  }

  const backends::Profile& profile_;
  quant::TensorSpec spec_;
  bool powers_ = false;  ///< scales are powers of two, everywhere
  backends::IntGraph graph_;
  Dice dice_{20260112};
};

}  // namespace facsim::test
