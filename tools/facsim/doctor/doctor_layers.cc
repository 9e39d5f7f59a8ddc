// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/doctor/doctor_layers.h"

#include <fmt/format.h>

namespace facsim::cli {

namespace {

constexpr int64_t kDoctorImages = 2;

/// splitmix64: the same numbers everywhere.
class DoctorDice {
 public:
  explicit DoctorDice(uint64_t seed) : state_(seed) {}
  int64_t between(int64_t low, int64_t high) {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    return low + static_cast<int64_t>(z % static_cast<uint64_t>(high - low + 1));
  }
  Tensor codes(DType dtype, Shape shape, int64_t low, int64_t high) {
    Tensor tensor(dtype, std::move(shape));
    for (int64_t i = 0; i < tensor.numel(); ++i) tensor.set_int(i, between(low, high));
    return tensor;
  }
  float scale(float around) { return around * static_cast<float>(between(700, 1400)) / 1024.0f; }

 private:
  uint64_t state_;
};

quant::QParams activation_qparams(float scale, int64_t zero_point) {
  return {{scale}, {zero_point}, -1, sim::kInt8, -128, 127};
}

class LayerMaker {
 public:
  LayerMaker(std::string name, DoctorDice& dice) : dice_(dice) {
    layer_.name = std::move(name);
    layer_.graph.name = layer_.name;
    node_.name = layer_.name;
  }

  int add_input(Shape shape) {
    const int t = add_tensor("x", shape);
    layer_.graph.inputs.push_back(t);
    shape[0] = kDoctorImages;
    layer_.inputs.push_back(dice_.codes(DType::int8, std::move(shape), -128, 127));
    return t;
  }
  /// Weights with a scale a channel, and a bias in accumulator units.
  void add_weights(Shape shape) {
    const int64_t channels = shape[0];
    const float input_scale = layer_.graph.tensors[0].qparams->scale[0];
    const std::vector<int64_t> zeros(static_cast<size_t>(channels), 0);
    quant::QParams weight{{}, zeros, 0, sim::kInt8, -127, 127};
    quant::QParams bias{{}, zeros, 0, sim::kInt32, INT32_MIN, INT32_MAX};
    for (int64_t c = 0; c < channels; ++c) {
      weight.scale.push_back(dice_.scale(0.01f));
      bias.scale.push_back(input_scale * weight.scale.back());
    }
    layer_.graph.tensors.push_back(
        {"w", DType::int8, shape, weight, dice_.codes(DType::int8, shape, -127, 127)});
    node_.inputs.push_back(static_cast<int>(layer_.graph.tensors.size()) - 1);
    layer_.graph.tensors.push_back({"b", DType::int32, Shape{channels}, bias,
                                    dice_.codes(DType::int32, Shape{channels}, -20000, 20000)});
    node_.inputs.push_back(static_cast<int>(layer_.graph.tensors.size()) - 1);
  }
  backends::IntNode& node() { return node_; }

  /// `probability`: 2^-8 from the smallest code on.
  enum class OutputScale { own, as_input, probability };
  DoctorLayer take(std::string op, Shape output, OutputScale scale, float around) {
    const int y = add_tensor("y", std::move(output));
    auto& qparams = layer_.graph.tensors[static_cast<size_t>(y)].qparams;
    if (scale == OutputScale::as_input) {
      qparams = layer_.graph.tensors[0].qparams;
    } else if (scale == OutputScale::probability) {
      qparams = activation_qparams(1.0f / 256, -128);
    } else {
      qparams = activation_qparams(dice_.scale(around), dice_.between(-20, 20));
    }
    node_.op = std::move(op);
    node_.output = y;
    layer_.graph.nodes = {node_};
    layer_.graph.outputs = {y};
    return std::move(layer_);
  }

 private:
  int add_tensor(const std::string& name, Shape shape) {
    const size_t number = layer_.graph.tensors.size();
    layer_.graph.tensors.push_back({fmt::format("{}{}", name, number),
                                    DType::int8,
                                    std::move(shape),
                                    activation_qparams(dice_.scale(0.05f), dice_.between(-40, 40)),
                                    {}});
    if (name == "x") node_.inputs.push_back(static_cast<int>(number));
    return static_cast<int>(number);
  }

  DoctorDice& dice_;
  DoctorLayer layer_;
  backends::IntNode node_;
};

struct ConvShape {
  const char* name;
  const char* op;
  int64_t size, input_channels, output_channels, kernel, stride, groups;
};

DoctorLayer conv_layer(const ConvShape& s, DoctorDice& dice) {
  LayerMaker maker(s.name, dice);
  maker.add_input({1, s.size, s.size, s.input_channels});
  maker.add_weights({s.output_channels, s.kernel, s.kernel, s.input_channels / s.groups});
  const int64_t pad = s.kernel / 2;
  auto& attributes = maker.node().attributes;
  attributes.window.kernel = {s.kernel, s.kernel};
  attributes.window.stride = {s.stride, s.stride};
  attributes.window.padding = {pad, pad, pad, pad};
  attributes.groups = s.groups;
  attributes.activation = backends::Activation::relu;
  const int64_t out = (s.size + 2 * pad - s.kernel) / s.stride + 1;
  return maker.take(s.op, {1, out, out, s.output_channels}, LayerMaker::OutputScale::own, 0.1f);
}

DoctorLayer linear_layer(int64_t inputs, int64_t outputs, DoctorDice& dice) {
  LayerMaker maker(fmt::format("linear {} to {}", inputs, outputs), dice);
  maker.add_input({1, inputs});
  maker.add_weights({outputs, inputs});
  return maker.take("linear", {1, outputs}, LayerMaker::OutputScale::own, 0.2f);
}

DoctorLayer pool_layer(const char* op, DoctorDice& dice) {
  LayerMaker maker(op, dice);
  maker.add_input({1, 9, 9, 19});
  auto& window = maker.node().attributes.window;
  window.kernel = {3, 3};
  window.stride = {2, 2};
  return maker.take(op, {1, 4, 4, 19}, LayerMaker::OutputScale::as_input, 0);
}

DoctorLayer binary_layer(const char* op, DoctorDice& dice) {
  LayerMaker maker(op, dice);
  maker.add_input({1, 7, 7, 37});
  maker.add_input({1, 7, 7, 37});
  return maker.take(op, {1, 7, 7, 37}, LayerMaker::OutputScale::own, 0.08f);
}

DoctorLayer transposed_layer(DoctorDice& dice) {
  LayerMaker maker("transposed 3x3 stride 2", dice);
  maker.add_input({1, 7, 7, 24});
  maker.add_weights({20, 3, 3, 24});
  auto& window = maker.node().attributes.window;
  window.kernel = {3, 3};
  window.stride = {2, 2};
  return maker.take("transpose_conv2d", {1, 15, 15, 20}, LayerMaker::OutputScale::own, 0.1f);
}

DoctorLayer softmax_layer(DoctorDice& dice) {
  LayerMaker maker("softmax", dice);
  maker.add_input({1, 7, 7, 37});
  return maker.take("softmax", {1, 7, 7, 37}, LayerMaker::OutputScale::probability, 0);
}

DoctorLayer table_layer(DoctorDice& dice) {
  LayerMaker maker("lut", dice);
  maker.add_input({1, 7, 7, 37});
  for (int code = 0; code < 256; ++code) {
    maker.node().attributes.table.push_back(dice.between(-128, 127));
  }
  return maker.take("lut", {1, 7, 7, 37}, LayerMaker::OutputScale::own, 0.1f);
}

}  // namespace

std::vector<DoctorLayer> doctor_layers(uint64_t seed) {
  DoctorDice dice(seed);
  constexpr ConvShape kConvs[] = {
      {"conv 3x3", "conv2d", 15, 64, 48, 3, 1, 1},
      {"conv 3x3 odd channels", "conv2d", 11, 21, 19, 3, 1, 1},
      {"conv 3x3 stride 2", "conv2d", 15, 32, 33, 3, 2, 1},
      {"conv 1x1", "conv2d", 14, 64, 128, 1, 1, 1},
      {"conv 1x1 odd channels", "conv2d", 9, 35, 17, 1, 1, 1},
      {"conv 3x3 in groups", "conv2d", 9, 32, 32, 3, 1, 4},
      {"conv 7x7 stem", "conv2d", 29, 3, 32, 7, 2, 1},
      {"depthwise 3x3", "depthwise_conv2d", 15, 64, 64, 3, 1, 64},
      {"depthwise 3x3 stride 2, odd", "depthwise_conv2d", 13, 37, 37, 3, 2, 37},
      {"depthwise 5x5", "depthwise_conv2d", 11, 24, 24, 5, 1, 24},
  };
  std::vector<DoctorLayer> layers;
  for (const ConvShape& shape : kConvs) layers.push_back(conv_layer(shape, dice));
  layers.push_back(linear_layer(256, 100, dice));
  layers.push_back(linear_layer(77, 13, dice));
  for (const char* op : {"avg_pool2d", "max_pool2d"}) layers.push_back(pool_layer(op, dice));
  for (const char* op : {"add", "sub", "mul"}) layers.push_back(binary_layer(op, dice));
  layers.push_back(transposed_layer(dice));
  layers.push_back(softmax_layer(dice));
  layers.push_back(table_layer(dice));
  return layers;
}

}  // namespace facsim::cli
