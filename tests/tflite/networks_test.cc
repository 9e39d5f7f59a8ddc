// SPDX-License-Identifier: Apache-2.0
// The public networks whose files are not recorded here, built with the operators, shapes and
// options they have: MLPerf Tiny's visual wake words, anomaly detection and streaming wake word,
// TFLite Micro's micro_speech, and MobileNetV2. Weights are drawn; what is checked is that each is
// read, what it costs, and that every SIMD target gives the scalar norm's codes.
#include <doctest/doctest.h>

#include <chrono>
#include <iostream>
#include <random>

#include "backends/lower/lower.h"
#include "backends/tflite/read_tflite.h"
#include "sim/graph/executor.h"
#include "tests/formats/temp_folder.h"
#include "tests/tflite/file_builder.h"

namespace facsim::test {
namespace {

using backends::IntGraph;
using tflite::BuiltinOperator;
using tflite::Padding;
using tflite::TensorType;

constexpr auto kRelu = tflite::ActivationFunctionType::RELU;
constexpr auto kRelu6 = tflite::ActivationFunctionType::RELU6;
constexpr auto kNone = tflite::ActivationFunctionType::NONE;

/// A network that grows layer by layer; `at` is its last tensor.
struct NetworkBuilder : FileBuilder {
  int at = -1;
  std::vector<int32_t> shape;
  std::mt19937 random{20};

  explicit NetworkBuilder(std::vector<int32_t> input) : shape(std::move(input)) {
    at = int8("input", shape, 0.02f, -3);
    inputs({at});
  }
  int32_t drawn(int32_t low, int32_t high) {
    return low + static_cast<int32_t>(random() % static_cast<uint32_t>(high - low + 1));
  }
  int next(std::vector<int32_t> to, float scale = 0.03f, int64_t zero_point = -5) {
    shape = std::move(to);
    return int8("t" + std::to_string(graph().tensors.size()), shape, scale, zero_point);
  }
  int weights(std::vector<int32_t> extents, int channels, int axis) {
    size_t count = 1;
    for (const int32_t extent : extents) count *= static_cast<size_t>(extent);
    std::vector<int8_t> values(count);
    for (int8_t& value : values) value = static_cast<int8_t>(drawn(-127, 127));
    Quantization scales;
    for (int c = 0; c < channels; ++c) {
      scales.scale.push_back(0.002f + 0.0001f * static_cast<float>(drawn(0, 20)));
    }
    scales.zero_point.assign(scales.scale.size(), 0);
    scales.axis = axis;
    return constant<int8_t>("w", TensorType::INT8, std::move(extents), values, std::move(scales));
  }
  int bias(int weights_number, int channels) {
    std::vector<int32_t> values(static_cast<size_t>(channels));
    for (int32_t& value : values) value = drawn(-2000, 2000);
    Quantization scales;
    const float input = tensor(at).quantization->scale[0];
    for (const float scale : tensor(weights_number).quantization->scale) {
      scales.scale.push_back(input * scale);
    }
    scales.zero_point.assign(scales.scale.size(), 0);
    return constant<int32_t>("b", TensorType::INT32, {channels}, values, std::move(scales));
  }
  static int32_t extent(int32_t in, int kernel, int stride, Padding padding) {
    return padding == Padding::SAME ? (in + stride - 1) / stride : (in - kernel) / stride + 1;
  }

  void conv(int out, std::array<int, 2> kernel, std::array<int, 2> stride,
            tflite::ActivationFunctionType activation, Padding padding = Padding::SAME) {
    const int w = weights({out, kernel[0], kernel[1], shape[3]}, out, 0), b = bias(w, out);
    tflite::Conv2DOptionsT options;
    options.padding = padding;
    options.stride_h = stride[0];
    options.stride_w = stride[1];
    options.fused_activation_function = activation;
    const int from = at;
    at = next({1, extent(shape[1], kernel[0], stride[0], padding),
               extent(shape[2], kernel[1], stride[1], padding), out});
    add(BuiltinOperator::CONV_2D, {from, w, b}, {at}, options);
  }
  void depthwise(std::array<int, 2> kernel, std::array<int, 2> stride,
                 tflite::ActivationFunctionType activation, int multiplier = 1,
                 Padding padding = Padding::SAME) {
    const int out = shape[3] * multiplier;
    const int w = weights({1, kernel[0], kernel[1], out}, out, 3), b = bias(w, out);
    tflite::DepthwiseConv2DOptionsT options;
    options.padding = padding;
    options.stride_h = stride[0];
    options.stride_w = stride[1];
    options.depth_multiplier = multiplier;
    options.fused_activation_function = activation;
    const int from = at;
    at = next({1, extent(shape[1], kernel[0], stride[0], padding),
               extent(shape[2], kernel[1], stride[1], padding), out});
    add(BuiltinOperator::DEPTHWISE_CONV_2D, {from, w, b}, {at}, options);
  }
  void connected(int out, tflite::ActivationFunctionType activation) {
    const int w = weights({out, shape[1]}, 1, 0), b = bias(w, out);
    tflite::FullyConnectedOptionsT options;
    options.fused_activation_function = activation;
    const int from = at;
    at = next({1, out});
    add(BuiltinOperator::FULLY_CONNECTED, {from, w, b}, {at}, options);
  }
  /// The scale and zero point of the input go on.
  int like_input(std::vector<int32_t> to) {
    const auto& own = *tensor(at).quantization;
    const float scale = own.scale[0];
    const int64_t zero_point = own.zero_point[0];
    return next(std::move(to), scale, zero_point);
  }
  void average_pool() {
    tflite::Pool2DOptionsT options;
    options.padding = Padding::VALID;
    options.filter_height = shape[1];
    options.filter_width = shape[2];
    options.stride_h = options.stride_w = 1;
    const int from = at;
    at = like_input({1, 1, 1, shape[3]});
    add(BuiltinOperator::AVERAGE_POOL_2D, {from}, {at}, options);
  }
  void mean() {
    const int axes = int32s("axes", {1, 2});
    const int from = at;
    at = next({1, shape[3]});
    add(BuiltinOperator::MEAN, {from, axes}, {at}, tflite::ReducerOptionsT{});
  }
  void reshape(std::vector<int32_t> to) {
    const int target = int32s("shape", to);
    const int from = at;
    at = like_input(std::move(to));
    add(BuiltinOperator::RESHAPE, {from, target}, {at}, tflite::ReshapeOptionsT{});
  }
  void softmax() {
    tflite::SoftmaxOptionsT options;
    options.beta = 1.0f;
    const int from = at;
    at = next(shape, 1.0f / 256, -128);
    add(BuiltinOperator::SOFTMAX, {from}, {at}, options);
  }
  void residual(int other) {
    const int from = at;
    at = next(shape);
    add(BuiltinOperator::ADD, {other, from}, {at}, tflite::AddOptionsT{});
  }
};

int64_t macs_of(const sim::Graph& graph) {
  int64_t macs = 0;
  for (const sim::Graph::Node& node : graph.nodes) {
    std::vector<Shape> inputs;
    for (const int input : node.inputs) {
      inputs.push_back(graph.tensors[static_cast<size_t>(input)].shape);
    }
    macs += node.op->macs(inputs);
  }
  return macs;
}

/// Reads and runs two images under a profile, on the fastest target and, if `compare`, on the norm.
/// Multiply-accumulates per image.
int64_t run_built(NetworkBuilder& builder, const char* profile, bool compare = true) {
  builder.outputs({builder.at});
  const IntGraph network = builder.read();
  const sim::Graph graph = backends::lower(
      network, backends::load_profile(profile, backends::ProfileSearch::standard()));
  Shape shape = network.tensors[static_cast<size_t>(network.inputs[0])].shape;
  shape[0] = 2;
  Tensor input(DType::int8, shape);
  for (int64_t i = 0; i < input.numel(); ++i) input.set_int(i, builder.drawn(-128, 127));
  sim::ExecutorOptions norm;
  norm.isa = sim::Isa::scalar;
  const Tensor fast = sim::Executor(graph, {}).run({input}).outputs.at(0);
  if (compare) {
    const Tensor expected = sim::Executor(graph, norm).run({input}).outputs.at(0);
    bool same = true;
    for (int64_t i = 0; i < fast.numel(); ++i) same = same && fast.int_at(i) == expected.int_at(i);
    CHECK(same);
  }
  return macs_of(graph);
}

TEST_CASE("tflite networks: visual wake words, MobileNet v1 0.25 on 96x96") {
  NetworkBuilder net({1, 96, 96, 3});
  net.conv(8, {3, 3}, {2, 2}, kRelu6);
  const std::pair<int, int> blocks[] = {{16, 1},  {32, 2},  {32, 1},  {64, 2},  {64, 1},
                                        {128, 2}, {128, 1}, {128, 1}, {128, 1}, {128, 1},
                                        {128, 1}, {256, 2}, {256, 1}};
  for (const auto& [out, stride] : blocks) {
    net.depthwise({3, 3}, {stride, stride}, kRelu6);
    net.conv(out, {1, 1}, {1, 1}, kRelu6);
  }
  net.average_pool();
  net.reshape({1, 256});
  net.connected(2, kNone);
  net.softmax();
  CHECK(run_built(net, "tflite-micro") == 7489664);  // "7.5 M" in MLPerf Tiny's description
}

TEST_CASE("tflite networks: anomaly detection, ten fully connected layers") {
  NetworkBuilder net({1, 640});
  for (const int width : {128, 128, 128, 128, 8, 128, 128, 128, 128}) net.connected(width, kRelu);
  net.connected(640, kNone);
  CHECK(run_built(net, "tflite-micro") == 264192);
}

TEST_CASE("tflite networks: streaming wake word, depthwise separable over time") {
  NetworkBuilder net({1, 30, 1, 40});
  net.conv(128, {3, 1}, {1, 1}, kRelu, Padding::VALID);
  for (const int out : {128, 128, 32}) {
    net.depthwise({5, 1}, {1, 1}, kRelu, 1, Padding::VALID);
    net.conv(out, {1, 1}, {1, 1}, kRelu);
  }
  net.depthwise({net.shape[1], 1}, {1, 1}, kRelu, 1, Padding::VALID);
  net.reshape({1, 32});
  net.connected(3, kNone);
  net.softmax();
  CHECK(run_built(net, "tflite-micro") > 1000000);
}

TEST_CASE("tflite networks: micro_speech, one depthwise layer of 8 filters on one channel") {
  NetworkBuilder net({1, 1960});
  net.reshape({1, 49, 40, 1});
  net.depthwise({10, 8}, {2, 2}, kRelu, 8);
  net.reshape({1, 4000});
  net.connected(4, kNone);
  net.softmax();
  CHECK(run_built(net, "tflite-micro") == 25 * 20 * 8 * 80 + 4000 * 4);
}

/// MobileNetV2 1.0 on 224x224: inverted residuals, a linear bottleneck without activation.
void mobile_net_v2(NetworkBuilder& net, bool has_mean) {
  net.conv(32, {3, 3}, {2, 2}, kRelu6);
  struct Stage {
    int expansion, out, count, stride;
  };
  for (const Stage& stage :
       {Stage{1, 16, 1, 1}, Stage{6, 24, 2, 2}, Stage{6, 32, 3, 2}, Stage{6, 64, 4, 2},
        Stage{6, 96, 3, 1}, Stage{6, 160, 3, 2}, Stage{6, 320, 1, 1}}) {
    for (int i = 0; i < stage.count; ++i) {
      const int stride = i == 0 ? stage.stride : 1, in = net.shape[3], from = net.at;
      if (stage.expansion > 1) net.conv(in * stage.expansion, {1, 1}, {1, 1}, kRelu6);
      net.depthwise({3, 3}, {stride, stride}, kRelu6);
      net.conv(stage.out, {1, 1}, {1, 1}, kNone);
      if (stride == 1 && in == stage.out) net.residual(from);
    }
  }
  net.conv(1280, {1, 1}, {1, 1}, kRelu6);
  if (has_mean) {
    net.mean();
  } else {
    net.average_pool();
    net.reshape({1, 1280});
  }
  net.connected(1000, kNone);
  net.softmax();
}

TEST_CASE(
    "tflite networks: MobileNetV2 224x224, as TFLite Micro and as TFLite with XNNPACK run it") {
  NetworkBuilder net({1, 224, 224, 3});
  mobile_net_v2(net, /*has_mean=*/false);
  CHECK(run_built(net, "tflite-micro", /*compare=*/false) == 300774272);
  CHECK(run_built(net, "xnnpack-x86", /*compare=*/false) == 300774272);
  NetworkBuilder keras({1, 224, 224, 3});
  mobile_net_v2(keras, /*has_mean=*/true);
  CHECK(run_built(keras, "tflite-micro", /*compare=*/false) == 300774272);
}

TEST_CASE("tflite networks: a file of MobileNetV2's size loads in less than 100 ms") {
  NetworkBuilder net({1, 224, 224, 3});
  mobile_net_v2(net, /*has_mean=*/false);
  net.outputs({net.at});
  const TempFolder folder;
  const auto file = folder.write("mobilenet_v2.tflite", net.bytes());
  REQUIRE(std::filesystem::file_size(file) > 3'500'000);
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const IntGraph network = backends::read_tflite(file);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    CHECK(network.nodes.size() == 66);
    best = std::min(best, took.count());
  }
  std::cout << "mobilenet_v2.tflite loads in " << best << " ms\n";
  CHECK(best < 100);
}

}  // namespace
}  // namespace facsim::test
