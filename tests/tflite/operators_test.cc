// SPDX-License-Identifier: Apache-2.0
// What each operator becomes, and that the network then runs: codes by hand under tflite-micro.
#include <doctest/doctest.h>

#include <numeric>

#include "backends/lower/lower.h"
#include "sim/graph/executor.h"
#include "tests/formats/temp_folder.h"
#include "tests/tflite/file_builder.h"

namespace facsim::test {
namespace {

using backends::IntGraph;
using backends::IntNode;
using tflite::BuiltinOperator;
using tflite::TensorType;
using Codes = std::vector<int64_t>;

const backends::Profile& micro() {
  static const backends::Profile profile =
      backends::load_profile("tflite-micro", backends::ProfileSearch::standard());
  return profile;
}

Codes codes_of(const Tensor& tensor) {
  Codes codes;
  for (int64_t i = 0; i < tensor.numel(); ++i) codes.push_back(tensor.int_at(i));
  return codes;
}

/// The first output for one input of these codes, counted up from `first` if there are none. The
/// second of two equal images must give the same: images stay apart.
Codes run(const IntGraph& graph, Codes input = {}, int64_t first = 0) {
  const sim::Graph lowered = backends::lower(graph, micro());
  const sim::Graph::TensorInfo& info = lowered.tensors[static_cast<size_t>(lowered.inputs.at(0))];
  if (input.empty()) {
    input.resize(static_cast<size_t>(info.shape.numel()));
    std::iota(input.begin(), input.end(), first);
  }
  REQUIRE(static_cast<int64_t>(input.size()) == info.shape.numel());
  Shape two = info.shape;
  two[0] = 3;
  Tensor x(info.dtype, two);
  for (size_t i = 0; i < input.size(); ++i) {
    x.set_int(static_cast<int64_t>(i), input[i]);
    x.set_int(static_cast<int64_t>(2 * input.size() + i), input[i]);
  }
  const Codes all = codes_of(sim::Executor(lowered, {}).run({x}).outputs.at(0));
  const auto third = static_cast<std::ptrdiff_t>(all.size() / 3);
  const Codes result(all.begin(), all.begin() + third);
  CHECK(result == Codes(all.begin() + 2 * third, all.end()));
  return result;
}

/// x -> one operator with more constant inputs -> y.
struct OneOp : FileBuilder {
  int x, y;
  OneOp(std::vector<int32_t> in, std::vector<int32_t> out, float in_scale = 0.5f,
        float out_scale = 0.5f)
      : x(int8("x", std::move(in), in_scale)), y(int8("y", std::move(out), out_scale)) {
    inputs({x});
    outputs({y});
  }
};

const IntNode& only_node(const IntGraph& graph) {
  REQUIRE(graph.nodes.size() == 1);
  return graph.nodes[0];
}

TEST_CASE("tflite: names are the file's, made unique, and operators have numbers") {
  OneOp file({1, 4}, {1, 4});
  file.tensor(file.y).name = "x";
  file.graph().name = "main";
  file.add(BuiltinOperator::RELU, {file.x}, {file.y});
  const IntGraph graph = file.read();
  CHECK(graph.name == "main");
  CHECK(graph.tensors[0].name == "x");
  CHECK(graph.tensors[1].name == "x#1");
  CHECK(only_node(graph).name == "RELU_0");
  CHECK(graph.layout == IntGraph::Layout::nhwc);
  file.tensor(file.y).name = "";
  CHECK(file.read().tensors[1].name == "tensor_1");
}

TEST_CASE("tflite CONV_2D: SAME, VALID, stride, dilation, fused activation") {
  const auto conv = [](tflite::Padding padding, int stride, int dilation, int out) {
    OneOp file({1, 6, 6, 2}, {1, out, out, 4});
    const int w = file.constant<int8_t>("w", TensorType::INT8, {4, 3, 3, 2},
                                        std::vector<int8_t>(72, 1), {{0.5f}, {0}});
    tflite::Conv2DOptionsT options;
    options.padding = padding;
    options.stride_w = options.stride_h = stride;
    options.dilation_w_factor = options.dilation_h_factor = dilation;
    options.fused_activation_function = tflite::ActivationFunctionType::RELU6;
    file.add(BuiltinOperator::CONV_2D, {file.x, w}, {file.y}, options);
    return file.read();
  };
  using sim::Padding2d;
  const auto padding = [&](const IntGraph& graph) {
    return only_node(graph).attributes.window.padding;
  };
  CHECK(padding(conv(tflite::Padding::SAME, 1, 1, 6)) == Padding2d{1, 1, 1, 1});
  CHECK(padding(conv(tflite::Padding::SAME, 2, 1, 3)) == Padding2d{0, 0, 1, 1});
  CHECK(padding(conv(tflite::Padding::SAME, 1, 2, 6)) == Padding2d{2, 2, 2, 2});
  CHECK(padding(conv(tflite::Padding::VALID, 1, 1, 4)) == Padding2d{});
  CHECK(padding(conv(tflite::Padding::VALID, 1, 2, 2)) == Padding2d{});
  const IntGraph graph = conv(tflite::Padding::VALID, 1, 2, 2);
  CHECK(only_node(graph).attributes.activation == backends::Activation::relu6);
  CHECK(only_node(graph).attributes.window.dilation == std::array<int64_t, 2>{2, 2});
  // 18 taps of code 1 and weight 1: 18 / 2; real 6 is code 12.
  CHECK(run(graph, Codes(72, 1)) == Codes(16, 9));
  CHECK(run(graph, Codes(72, 2)) == Codes(16, 12));
}

TEST_CASE("tflite CONV_2D: filters of a part of the channels are groups") {
  OneOp file({1, 1, 1, 4}, {1, 1, 1, 2});
  const int w =
      file.constant<int8_t>("w", TensorType::INT8, {2, 1, 1, 2}, {1, 2, 3, 4}, {{1.0f}, {0}});
  tflite::Conv2DOptionsT options;
  options.stride_w = options.stride_h = 1;
  file.add(BuiltinOperator::CONV_2D, {file.x, w}, {file.y}, options);
  const IntGraph graph = file.read();
  CHECK(only_node(graph).attributes.groups == 2);
  CHECK(run(graph, {1, 2, 3, 4}) == Codes{5, 25});
}

TEST_CASE("tflite DEPTHWISE_CONV_2D: depth multiplier, and a single channel is depthwise too") {
  const auto depthwise = [](int channels, int multiplier) {
    const int filters = channels * multiplier;
    OneOp file({1, 1, 2, channels}, {1, 1, 1, filters});
    std::vector<int8_t> weights(static_cast<size_t>(2 * filters));
    std::iota(weights.begin(), weights.end(), static_cast<int8_t>(1));
    std::vector<float> scales(static_cast<size_t>(filters), 1.0f);
    const int w =
        file.constant<int8_t>("w", TensorType::INT8, {1, 1, 2, filters}, weights,
                              {scales, std::vector<int64_t>(static_cast<size_t>(filters), 0), 3});
    tflite::DepthwiseConv2DOptionsT options;
    options.padding = tflite::Padding::VALID;
    options.stride_w = options.stride_h = 1;
    options.depth_multiplier = multiplier;
    file.add(BuiltinOperator::DEPTHWISE_CONV_2D, {file.x, w}, {file.y}, options);
    return file.read();
  };
  const IntGraph graph = depthwise(2, 2);
  CHECK(only_node(graph).op == "depthwise_conv2d");
  CHECK(only_node(graph).attributes.groups == 2);
  CHECK(graph.tensors[1].shape == Shape{4, 1, 2, 1});
  CHECK(graph.tensors[1].qparams->channel_axis == 0);
  // x = (1, 2), (3, 4); filters (1, 5), (2, 6) on channel 0, (3, 7), (4, 8) on channel 1.
  CHECK(run(graph, {1, 2, 3, 4}) == Codes{16, 20, 34, 40});
  CHECK(only_node(depthwise(1, 3)).op == "depthwise_conv2d");
  CHECK(run(depthwise(1, 3), {1, 2}) == Codes{9, 12, 15});
}

TEST_CASE("tflite: depthwise rules hold for a single channel, unlike those of conv2d") {
  // 45 * 0.1 / 3.0 = 1.5 exactly at a tie of the single rounding, which tflite-builtin takes in
  // conv2d alone: a network of each op differs exactly where the profile's two ops do.
  const backends::Profile builtin =
      backends::load_profile("tflite-builtin", backends::ProfileSearch::standard());
  FileBuilder file;
  const int x = file.int8("x", {1, 1, 64, 1}, 0.037f), y = file.int8("y", {1, 1, 64, 1}, 0.11f);
  const int w = file.constant<int8_t>("w", TensorType::INT8, {1, 1, 1, 1}, {77}, {{0.013f}, {0}});
  tflite::DepthwiseConv2DOptionsT options;
  options.stride_w = options.stride_h = options.depth_multiplier = 1;
  file.add(BuiltinOperator::DEPTHWISE_CONV_2D, {x, w}, {y}, options);
  file.inputs({x});
  file.outputs({y});
  IntGraph graph = file.read();
  const auto op = [&](const IntGraph& g) {
    const auto lowered = backends::lower(g, builtin);
    const auto* conv = dynamic_cast<const sim::Conv2d*>(lowered.nodes.at(0).op.get());
    REQUIRE(conv != nullptr);
    return conv->params().requantize.program();
  };
  const auto depthwise = op(graph);
  graph.nodes[0].op = "conv2d";
  CHECK_FALSE(depthwise == op(graph));
}

TEST_CASE("tflite CONV_2D: int4 weights are unpacked, the low half first") {
  OneOp file({1, 1, 1, 3}, {1, 1, 1, 1});
  const int w =
      file.bytes_constant("w", TensorType::INT4, {1, 1, 1, 3}, {0x71, 0x08}, {{0.5f}, {0}});
  tflite::Conv2DOptionsT options;
  options.stride_w = options.stride_h = 1;
  file.add(BuiltinOperator::CONV_2D, {file.x, w}, {file.y}, options);
  const IntGraph graph = file.read();
  CHECK(codes_of(*graph.tensors[1].data) == Codes{1, 7, -8});
  CHECK(graph.tensors[1].qparams->type == sim::IntType{4, true});
  CHECK(run(graph, {2, 4, 1}) == Codes{11});
}

TEST_CASE("tflite CONV_2D: int16 activations with int64 biases") {
  FileBuilder file;
  const int x = file.activation("x", TensorType::INT16, {1, 1, 1, 2}, {{0.5f}, {0}});
  const int y = file.activation("y", TensorType::INT16, {1, 1, 1, 1}, {{0.5f}, {0}});
  const int w = file.constant<int8_t>("w", TensorType::INT8, {1, 1, 1, 2}, {1, 2}, {{1.0f}, {0}});
  const int b = file.constant<int64_t>("b", TensorType::INT64, {1}, {1000}, {{0.5f}, {0}});
  tflite::Conv2DOptionsT options;
  options.stride_w = options.stride_h = 1;
  file.add(BuiltinOperator::CONV_2D, {x, w, b}, {y}, options);
  file.inputs({x});
  file.outputs({y});
  CHECK(file.read().tensors[2].dtype == DType::int64);
  CHECK(run(file.read(), {3000, 4000}) == Codes{12000});
}

TEST_CASE("tflite: odd but legal biases") {
  OneOp file({1, 1, 1, 1}, {1, 1, 1, 2});
  const int w = file.constant<int8_t>("w", TensorType::INT8, {2, 1, 1, 1}, {1, 0},
                                      {{1.0f, 2.9e-13f}, {0, 0}});
  // quantized_dimension 3 on one axis; an int32 bias near 2^30 in a channel of zeros.
  const int b = file.constant<int32_t>("b", TensorType::INT32, {2}, {2, -(1 << 30) + 7},
                                       {{0.5f, 1.45e-13f}, {0, 0}, 3});
  tflite::Conv2DOptionsT options;
  options.stride_w = options.stride_h = 1;
  file.add(BuiltinOperator::CONV_2D, {file.x, w, b}, {file.y}, options);
  const IntGraph graph = file.read();
  CHECK(graph.tensors[2].qparams->channel_axis == 0);
  CHECK(run(graph, {5}) == Codes{7, 0});  // -2^30 * 1.45e-13 / 0.5 is -0.0003
  // A bias without scales has the accumulator's.
  file.tensor(b).quantization.reset();
  CHECK(file.read().tensors[2].qparams->scale == std::vector<float>{0.5f, 0.5f * 2.9e-13f});
}

TEST_CASE("tflite FULLY_CONNECTED: rows, keep_num_dims, the batch of the file") {
  const auto connected = [](std::vector<int32_t> in, std::vector<int32_t> out, bool keep) {
    OneOp file(std::move(in), std::move(out));
    const int w =
        file.constant<int8_t>("w", TensorType::INT8, {2, 3}, {1, 0, 0, 0, 1, 1}, {{1.0f}, {0}});
    tflite::FullyConnectedOptionsT options;
    options.keep_num_dims = keep;
    file.add(BuiltinOperator::FULLY_CONNECTED, {file.x, w}, {file.y}, options);
    return file.read();
  };
  CHECK(run(connected({1, 3}, {1, 2}, false)) == Codes{0, 3});
  CHECK(run(connected({1, 1, 1, 3}, {1, 2}, false)) == Codes{0, 3});
  // A row for each of 4 positions, under the three shapes that files have.
  const Codes rows{0, 3, 3, 9, 6, 15, 9, 21};
  const IntGraph kept = connected({1, 2, 2, 3}, {1, 2, 2, 2}, true);
  CHECK(only_node(kept).op == "linear");
  CHECK(run(kept) == rows);
  CHECK(run(connected({1, 2, 2, 3}, {4, 2}, false)) == rows);
  CHECK(run(connected({1, 12}, {4, 2}, false)) == rows);
  // Batch 2: each image is a row.
  const IntGraph batch = connected({2, 3}, {2, 2}, false);
  CHECK(batch.tensors[0].shape == Shape{1, 3});
  CHECK(run(batch) == Codes{0, 3});
}

TEST_CASE(
    "tflite FULLY_CONNECTED: one scale is multiplied in float32, a scale per channel in float64") {
  // The scales of pitfall 05, an accumulator (the bias) near a tie.
  constexpr float kIn = 0.008867641910910606F, kWeight = 0.0011110034538432956F,
                  kOut = 0.16957353055477142F;
  const auto code = [&](BuiltinOperator op, int channels) {
    const bool is_conv = op == BuiltinOperator::CONV_2D;
    const std::vector<float> scales(static_cast<size_t>(channels), kWeight);
    const std::vector<int64_t> zeros(static_cast<size_t>(channels), 0);
    std::vector<int32_t> in{1, 1}, out{1, 2}, kernel{2, 1};
    if (is_conv) {
      in = {1, 1, 1, 1};
      out = {1, 1, 1, 2};
      kernel = {2, 1, 1, 1};
    }
    OneOp file(in, out, kIn, kOut);
    const int w = file.constant<int8_t>("w", TensorType::INT8, kernel, {1, 1}, {scales, zeros});
    const int b = file.constant<int32_t>("b", TensorType::INT32, {2}, {-1712606, -1712606},
                                         {{kIn * kWeight}, {0}});
    if (is_conv) {
      tflite::Conv2DOptionsT options;
      options.stride_w = options.stride_h = 1;
      file.add(op, {file.x, w, b}, {file.y}, options);
    } else {
      file.add(op, {file.x, w, b}, {file.y}, tflite::FullyConnectedOptionsT{});
    }
    return run(file.read(), {0}).front();
  };
  CHECK(code(BuiltinOperator::FULLY_CONNECTED, 1) == -99);
  CHECK(code(BuiltinOperator::FULLY_CONNECTED, 2) == -100);
  CHECK(code(BuiltinOperator::CONV_2D, 1) == -100);
}

TEST_CASE("tflite BATCH_MATMUL: adjoints, and matrices without a batch axis") {
  OneOp file({1, 2, 3}, {1, 2, 2});
  const int other = file.int8("other", {1, 2, 3});
  tflite::BatchMatMulOptionsT options;
  options.adj_y = true;
  file.add(BuiltinOperator::RELU, {file.x}, {other});
  file.add(BuiltinOperator::BATCH_MATMUL, {file.x, other}, {file.y}, options);
  const IntGraph graph = file.read();
  CHECK(graph.nodes[1].attributes.transpose_rhs);
  // rows (0 1 2), (3 4 5): products 5, 14, 14, 50 of half units each, half again.
  CHECK(run(graph) == Codes{3, 7, 7, 25});

  OneOp flat({1, 6}, {1, 4});
  const int m = flat.int8("m", {2, 3}), p = flat.int8("p", {2, 2});
  const int shape = flat.int32s("shape", {2, 3});
  flat.add(BuiltinOperator::RESHAPE, {flat.x, shape}, {m});
  flat.add(BuiltinOperator::BATCH_MATMUL, {m, m}, {p}, options);
  flat.add(BuiltinOperator::RESHAPE, {p, shape}, {flat.y});
  CHECK(run(flat.read()) == Codes{3, 7, 7, 25});
}

TEST_CASE("tflite ADD, SUB, MUL, MINIMUM, MAXIMUM: constants, broadcasting, fused activations") {
  const auto with_constant = [](BuiltinOperator code, auto options, std::vector<int32_t> shape,
                                const std::vector<int8_t>& values) {
    OneOp file({1, 2, 2}, {1, 2, 2});
    const int c =
        file.constant<int8_t>("c", TensorType::INT8, std::move(shape), values, {{0.5f}, {0}});
    file.add(code, {file.x, c}, {file.y}, options);
    return file.read();
  };
  using enum BuiltinOperator;
  CHECK(run(with_constant(ADD, tflite::AddOptionsT{}, {2}, {10, 20})) == Codes{10, 21, 12, 23});
  CHECK(run(with_constant(SUB, tflite::SubOptionsT{}, {1, 2, 1}, {10, 20})) ==
        Codes{-10, -9, -18, -17});
  CHECK(run(with_constant(MUL, tflite::MulOptionsT{}, {}, {4})) == Codes{0, 2, 4, 6});
  CHECK(run(with_constant(MINIMUM, tflite::MaximumMinimumOptionsT{}, {1}, {1})) ==
        Codes{0, 1, 1, 1});
  CHECK(run(with_constant(MAXIMUM, tflite::MaximumMinimumOptionsT{}, {1}, {1})) ==
        Codes{1, 1, 2, 3});
  tflite::SubOptionsT relu;
  relu.fused_activation_function = tflite::ActivationFunctionType::RELU;
  CHECK(run(with_constant(SUB, relu, {1}, {2})) == Codes{0, 0, 0, 1});
  // Without options: no activation.
  OneOp bare({1, 2}, {1, 2});
  bare.add(ADD, {bare.x, bare.x}, {bare.y});
  CHECK(run(bare.read()) == Codes{0, 2});
  // Two computed operands of different rank: the batch stays the first axis.
  OneOp ranks({1, 2, 2}, {1, 2, 2});
  const int mean = ranks.int8("mean", {1, 2}), axes = ranks.int32s("axes", {1});
  ranks.add(MEAN, {ranks.x, axes}, {mean}, tflite::ReducerOptionsT{});
  ranks.add(ADD, {ranks.x, mean}, {ranks.y}, tflite::AddOptionsT{});
  CHECK(run(ranks.read(), {0, 10, 20, 30}) == Codes{10, 30, 30, 50});
}

TEST_CASE("tflite: constants that differ from image to image, or that are all, are refused") {
  FileBuilder file;
  const int x = file.int8("x", {2, 2}), y = file.int8("y", {2, 2});
  const int c = file.constant<int8_t>("c", TensorType::INT8, {2, 2}, {1, 2, 3, 4}, {{0.5f}, {0}});
  file.add(BuiltinOperator::ADD, {x, c}, {y}, tflite::AddOptionsT{});
  file.inputs({x});
  file.outputs({y});
  CHECK(contains(error_text(ErrorCode::unsupported, [&] { file.read(); }), "every image"));
  file.op(0).inputs = {c, c};
  CHECK(contains(error_text(ErrorCode::unsupported, [&] { file.read(); }), "two constants"));
}

TEST_CASE("tflite pools, MEAN and SOFTMAX") {
  const auto pool = [](BuiltinOperator code) {
    OneOp file({1, 2, 2, 1}, {1, 1, 1, 1});
    tflite::Pool2DOptionsT options;
    options.padding = tflite::Padding::VALID;
    options.filter_width = options.filter_height = 2;
    options.stride_w = options.stride_h = 2;
    file.add(code, {file.x}, {file.y}, options);
    return file.read();
  };
  CHECK(only_node(pool(BuiltinOperator::AVERAGE_POOL_2D)).op == "avg_pool2d");
  CHECK(run(pool(BuiltinOperator::AVERAGE_POOL_2D), {1, 2, 3, 8}) == Codes{4});
  CHECK(run(pool(BuiltinOperator::MAX_POOL_2D), {1, 2, 3, 8}) == Codes{8});
  const auto mean = [](bool keep, std::vector<int32_t> out, const std::vector<int32_t>& axes) {
    OneOp file({1, 2, 2, 2}, std::move(out));
    const int list = file.int32s("axes", axes);
    tflite::ReducerOptionsT options;
    options.keep_dims = keep;
    file.add(BuiltinOperator::MEAN, {file.x, list}, {file.y}, options);
    return file.read();
  };
  CHECK(run(mean(false, {1, 2}, {1, 2})) == Codes{3, 4});
  CHECK(run(mean(true, {1, 1, 1, 2}, {-2, 1, 1})) == Codes{3, 4});
  CHECK(contains(error_text(ErrorCode::unsupported,
                            [&] {
                              mean(false, {2, 2, 2}, {0});
                            }),
                 "not the batch"));
  OneOp softmax({1, 3}, {1, 3}, 0.5f, 1.0f / 256);
  softmax.tensor(softmax.y).quantization->zero_point = {-128};
  tflite::SoftmaxOptionsT options;
  options.beta = 1.0f;
  softmax.add(BuiltinOperator::SOFTMAX, {softmax.x}, {softmax.y}, options);
  CHECK(run(softmax.read(), {7, 7, -128}) == Codes{0, 0, -128});
}

TEST_CASE("tflite RELU, RELU6, RELU_N1_TO_1, LEAKY_RELU, PRELU") {
  const auto unary = [](BuiltinOperator code) {
    OneOp file({1, 5}, {1, 5});
    file.add(code, {file.x}, {file.y});
    return run(file.read(), {-20, -2, 0, 2, 20});
  };
  CHECK(unary(BuiltinOperator::RELU) == Codes{0, 0, 0, 2, 20});
  CHECK(unary(BuiltinOperator::RELU6) == Codes{0, 0, 0, 2, 12});
  CHECK(unary(BuiltinOperator::RELU_N1_TO_1) == Codes{-2, -2, 0, 2, 2});
  OneOp leaky({1, 2}, {1, 2});
  tflite::LeakyReluOptionsT options;
  options.alpha = 0.5f;
  leaky.add(BuiltinOperator::LEAKY_RELU, {leaky.x}, {leaky.y}, options);
  CHECK(run(leaky.read(), {-20, 20}) == Codes{-10, 20});
  OneOp prelu({1, 1, 1, 2}, {1, 1, 1, 2});
  const int alpha =
      prelu.constant<int8_t>("alpha", TensorType::INT8, {1, 1, 2}, {1, 2}, {{0.25f}, {0}});
  prelu.add(BuiltinOperator::PRELU, {prelu.x, alpha}, {prelu.y});
  CHECK(run(prelu.read(), {-20, -20}) == Codes{-5, -10});
}

TEST_CASE("tflite LOGISTIC, TANH, HARD_SWISH") {
  const auto unary = [](BuiltinOperator code, float scale, int64_t zero_point) {
    OneOp file({1, 3}, {1, 3}, 0.05f, scale);
    file.tensor(file.y).quantization->zero_point = {zero_point};
    file.add(code, {file.x}, {file.y});
    return run(file.read(), {-128, 0, 127});
  };
  CHECK(unary(BuiltinOperator::LOGISTIC, 1.0f / 256, -128) == Codes{-128, 0, 127});
  CHECK(unary(BuiltinOperator::TANH, 1.0f / 128, 0) == Codes{-128, 0, 127});
  CHECK(unary(BuiltinOperator::HARD_SWISH, 0.05f, 0) == Codes{0, 0, 127});
}

TEST_CASE("tflite QUANTIZE and DEQUANTIZE: at the borders, between codes, of constants") {
  FileBuilder file;
  const int x = file.activation("x", TensorType::FLOAT32, {1, 3});
  const int q = file.int8("q", {1, 3}, 0.5f, 1), r = file.int8("r", {1, 3}, 0.25f, -1);
  const int y = file.activation("y", TensorType::FLOAT32, {1, 3});
  file.add(BuiltinOperator::QUANTIZE, {x}, {q});
  file.add(BuiltinOperator::QUANTIZE, {q}, {r});
  file.add(BuiltinOperator::DEQUANTIZE, {r}, {y});
  file.inputs({x});
  file.outputs({y});
  const IntGraph graph = file.read();
  REQUIRE(graph.nodes.size() == 3);
  CHECK(graph.nodes[0].op == "quantize");
  CHECK(graph.nodes[1].op == "requantize");
  CHECK(graph.nodes[2].op == "dequantize");
  const sim::Executor executor(backends::lower(graph, micro()), {});
  const std::vector<float> reals{1.0f, -2.25f, 0.3f};
  const Tensor out = executor.run({Tensor::from<float>({1, 3}, reals)}).outputs.at(0);
  CHECK(std::vector<float>(out.values<float>().begin(), out.values<float>().end()) ==
        std::vector<float>{1.0f, -2.5f, 0.5f});

  OneOp constant({1, 2}, {1, 2});
  const int c = constant.constant<int8_t>("c", TensorType::INT8, {2}, {10, -3}, {{0.25f}, {0}});
  const int real = constant.activation("real", TensorType::FLOAT32, {2});
  const int again = constant.int8("again", {2}, 0.5f);
  constant.add(BuiltinOperator::DEQUANTIZE, {c}, {real});
  constant.add(BuiltinOperator::QUANTIZE, {real}, {again});
  constant.add(BuiltinOperator::ADD, {constant.x, again}, {constant.y});
  const IntGraph folded = constant.read();
  CHECK(only_node(folded).op == "add");
  CHECK(codes_of(*folded.tensors[1].data) == Codes{5, -2});  // 2.5 / 0.5, -1.5 = -2 away from 0
}

TEST_CASE("tflite RESHAPE, SQUEEZE, EXPAND_DIMS: the output has the shape") {
  const auto reshape = [](BuiltinOperator code, std::vector<int32_t> in, std::vector<int32_t> out) {
    OneOp file(std::move(in), std::move(out));
    file.add(code, {file.x}, {file.y});
    return file.read();
  };
  CHECK(only_node(reshape(BuiltinOperator::RESHAPE, {1, 4, 2}, {1, 8})).attributes.extents ==
        std::vector<int64_t>{8});
  CHECK(only_node(reshape(BuiltinOperator::SQUEEZE, {1, 1, 1, 8}, {1, 8})).op == "reshape");
  CHECK(reshape(BuiltinOperator::EXPAND_DIMS, {1, 8}, {1, 1, 8}).tensors[1].shape ==
        Shape{1, 1, 8});
  // Axis 0 holds what the batch is not: an axis of 1 goes in front.
  CHECK(reshape(BuiltinOperator::RESHAPE, {1, 8}, {4, 2}).tensors[1].shape == Shape{1, 4, 2});
  CHECK(reshape(BuiltinOperator::RESHAPE, {2, 6}, {6, 2}).tensors[1].shape == Shape{1, 3, 2});
  CHECK(contains(error_text(ErrorCode::unsupported,
                            [&] {
                              reshape(BuiltinOperator::RESHAPE, {2, 8}, {1, 16});
                            }),
                 "images must stay apart"));
  CHECK(contains(error_text(ErrorCode::shape_mismatch,
                            [&] {
                              reshape(BuiltinOperator::RESHAPE, {1, 8}, {1, 9});
                            }),
                 "operator 0 (RESHAPE)"));
}

TEST_CASE("tflite: shapes that the file computes are evaluated") {
  // SHAPE -> STRIDED_SLICE (its batch) -> PACK with a constant -> RESHAPE: what Keras leaves of
  // Flatten under a dynamic batch.
  OneOp file({1, 2, 3}, {1, 6});
  file.tensor(file.x).shape_signature = {-1, 2, 3};
  file.tensor(file.y).shape_signature = {-1, 6};
  const int shape = file.activation("shape", TensorType::INT32, {3});
  const int first = file.activation("first", TensorType::INT32, {});
  const int target = file.activation("target", TensorType::INT32, {2});
  const int zero = file.int32s("zero", {0}), one = file.int32s("one", {1});
  const int six = file.constant<int32_t>("six", TensorType::INT32, {}, {6});
  tflite::StridedSliceOptionsT slice;
  slice.shrink_axis_mask = 1;
  tflite::PackOptionsT pack;
  pack.values_count = 2;
  file.add(BuiltinOperator::SHAPE, {file.x}, {shape}, tflite::ShapeOptionsT{});
  file.add(BuiltinOperator::STRIDED_SLICE, {shape, zero, one, one}, {first}, slice);
  file.add(BuiltinOperator::PACK, {first, six}, {target}, pack);
  file.add(BuiltinOperator::RESHAPE, {file.x, target}, {file.y});
  const IntGraph graph = file.read();
  CHECK(only_node(graph).op == "reshape");
  CHECK(graph.tensors.size() == 2);
}

/// x (1, 1, 2, 1) -> PAD by "paddings" (4, 2) of this type, which other operators compute -> y.
struct ComputedPaddings : OneOp {
  int paddings;
  explicit ComputedPaddings(TensorType type = TensorType::INT32)
      : OneOp({1, 1, 2, 1}, {1, 2, 3, 1}), paddings(activation("paddings", type, {4, 2})) {}
  Codes padded() {
    add(BuiltinOperator::PAD, {x, paddings}, {y});
    return run(read(), {5, 6});
  }
  void refused(ErrorCode code, const char* where, const char* part) {
    add(BuiltinOperator::PAD, {x, paddings}, {y});
    const std::string text = error_text(code, [&] { read(); });
    CAPTURE(text);
    CHECK(contains(text, where));
    CHECK(contains(text, part));
  }
};

TEST_CASE("tflite: known integers are joined as PACK, CONCATENATION and GATHER order them") {
  // Lists joined behind each other, then reshaped to (4, 2).
  ComputedPaddings joined;
  const int front = joined.int32s("front", {0, 0, 1, 0}),
            back = joined.int32s("back", {0, 1, 0, 0});
  const int list = joined.activation("list", TensorType::INT32, {8});
  const int shape = joined.int32s("shape", {4, 2});
  joined.add(BuiltinOperator::CONCATENATION, {front, back}, {list}, [] {
    tflite::ConcatenationOptionsT o;
    o.axis = -1;
    return o;
  }());
  joined.add(BuiltinOperator::RESHAPE, {list, shape}, {joined.paddings});
  CHECK(joined.padded() == Codes{0, 0, 0, 5, 6, 0});

  ComputedPaddings gathered;
  const int source = gathered.int32s("source", {1, 0});
  const int indices = gathered.int32s("indices", {1, 1, 0, 1, 1, 0, 1, 1});
  const int picked = gathered.activation("picked", TensorType::INT32, {8});
  gathered.add(BuiltinOperator::GATHER, {source, indices}, {picked}, tflite::GatherOptionsT{});
  gathered.add(BuiltinOperator::RESHAPE, {picked, gathered.int32s("shape", {4, 2})},
               {gathered.paddings});
  CHECK(gathered.padded() == Codes{0, 0, 0, 5, 6, 0});
}

TEST_CASE("tflite: known integers of more axes are refused where their order would change") {
  // PACK of (before) and (after) on axis 1 is the columns of the paddings, not its halves.
  for (const int axis : {0, 1}) {
    ComputedPaddings file;
    const int before = file.int32s("before", {0, 1, 0, 0}),
              after = file.int32s("after", {0, 0, 1, 0});
    tflite::PackOptionsT pack;
    pack.values_count = 2;
    pack.axis = axis;
    file.add(BuiltinOperator::PACK, {before, after}, {file.paddings}, pack);
    file.refused(ErrorCode::unsupported, "operator 0 (PACK)", "rank 0");
  }
  {
    ComputedPaddings file;
    const auto column = [&](const char* name, const std::vector<int32_t>& values) {
      return file.constant<int32_t>(name, TensorType::INT32, {4, 1}, values);
    };
    tflite::ConcatenationOptionsT concat;
    concat.axis = 1;
    file.add(BuiltinOperator::CONCATENATION,
             {column("before", {0, 1, 0, 0}), column("after", {0, 0, 1, 0})}, {file.paddings},
             concat);
    file.refused(ErrorCode::unsupported, "operator 0 (CONCATENATION)", "rank 1");
  }
  const auto gather = [](std::vector<int32_t> shape, int axis, int batch_dims, ErrorCode code,
                         const char* part) {
    ComputedPaddings file;
    const int source = file.constant<int32_t>("source", TensorType::INT32, std::move(shape),
                                              std::vector<int32_t>(8, 0));
    tflite::GatherOptionsT options;
    options.axis = axis;
    options.batch_dims = batch_dims;
    file.add(BuiltinOperator::GATHER, {source, file.int32s("i", {0, 1, 2, 3, 4, 5, 6, 7})},
             {file.paddings}, options);
    file.refused(code, "operator 0 (GATHER)", part);
  };
  gather({4, 2}, 0, 0, ErrorCode::unsupported, "rank 1");
  gather({8}, 1, 0, ErrorCode::unsupported, "axis 1");
  gather({8}, 0, 1, ErrorCode::unsupported, "batch_dims 1");
  ComputedPaddings cut;
  const int source =
      cut.constant<int32_t>("source", TensorType::INT32, {4, 2}, std::vector<int32_t>(8, 0));
  cut.add(BuiltinOperator::SLICE, {source, cut.int32s("b", {0, 0}), cut.int32s("s", {-1, -1})},
          {cut.paddings});
  cut.refused(ErrorCode::unsupported, "operator 0 (SLICE)", "rank 1");
}

TEST_CASE("tflite: known integers have as many elements as the shape of their tensor") {
  ComputedPaddings file;
  const int six = file.int32s("six", {0, 0, 1, 0, 0, 1});
  file.add(BuiltinOperator::RESHAPE, {six, file.int32s("shape", {4, 2})}, {file.paddings});
  file.refused(ErrorCode::shape_mismatch, "operator 0 (RESHAPE)", "6 known integers");
}

TEST_CASE("tflite STRIDED_SLICE: strides near 2^63 of known integers") {
  const auto slice = [](ComputedPaddings& file, int64_t stride, int count) {
    const auto list = [&](const char* name, const std::vector<int64_t>& values) {
      return file.constant<int64_t>(name, TensorType::INT64, {static_cast<int32_t>(values.size())},
                                    values);
    };
    const int source = list("source", {9, 0, 0, 1, 0, 0, 1, 0, 0});
    const int cut = file.activation("cut", TensorType::INT64, {count});
    file.add(BuiltinOperator::STRIDED_SLICE,
             {source, list("b", {1}), list("e", {INT64_MAX}), list("s", {stride})}, {cut},
             tflite::StridedSliceOptionsT{});
    file.add(BuiltinOperator::RESHAPE, {cut, file.int32s("shape", {4, 2})}, {file.paddings});
  };
  ComputedPaddings whole(TensorType::INT64);
  slice(whole, 1, 8);
  CHECK(whole.padded() == Codes{0, 0, 0, 5, 6, 0});
  // One element each, and no index behind it.
  for (const int64_t stride : {INT64_MAX, INT64_MAX - 1, INT64_MAX / 2, int64_t{8}}) {
    ComputedPaddings one(TensorType::INT64);
    slice(one, stride, 1);
    one.refused(ErrorCode::shape_mismatch, "operator 1 (RESHAPE)", "1 known integers");
  }
}

TEST_CASE("tflite STRIDED_SLICE, SPLIT_V: lengths near 2^63 of codes") {
  const auto list = [](FileBuilder& file, const char* name, const std::vector<int64_t>& values) {
    return file.constant<int64_t>(name, TensorType::INT64, {static_cast<int32_t>(values.size())},
                                  values);
  };
  OneOp cut({1, 4}, {1, 3});
  tflite::StridedSliceOptionsT offset;
  offset.offset = true;
  cut.add(BuiltinOperator::STRIDED_SLICE,
          {cut.x, list(cut, "b", {0, 1}), list(cut, "e", {1, INT64_MAX}), list(cut, "s", {1, 1})},
          {cut.y}, offset);
  CHECK(run(cut.read()) == Codes{1, 2, 3});
  for (const std::vector<int64_t>& sizes : {std::vector<int64_t>{1, INT64_MAX},
                                            {INT64_MAX, INT64_MAX},
                                            {-1, INT64_MIN},
                                            {-1, 5},
                                            {INT64_MIN, -1},
                                            {-1, -1},
                                            {1, 2}}) {
    OneOp file({1, 4}, {1, 3});
    const int front = file.int8("front", {1, 1});
    file.add(BuiltinOperator::SPLIT_V,
             {file.x, list(file, "sizes", sizes), file.int32s("axis", {1})}, {front, file.y},
             tflite::SplitVOptionsT{});
    CHECK(contains(error_text(ErrorCode::shape_mismatch, [&] { file.read(); }), "SPLIT_V"));
  }
}

TEST_CASE("tflite PAD and PADV2") {
  const auto pad = [](const std::vector<int32_t>& paddings, std::vector<int32_t> out,
                      std::optional<int8_t> value) {
    OneOp file({1, 1, 2, 1}, std::move(out));
    const int list = file.constant<int32_t>("paddings", TensorType::INT32, {4, 2}, paddings);
    std::vector<int32_t> operands{file.x, list};
    if (value) {
      operands.push_back(
          file.constant<int8_t>("value", TensorType::INT8, {}, {*value}, {{0.5f}, {0}}));
    }
    file.add(value ? BuiltinOperator::PADV2 : BuiltinOperator::PAD, operands, {file.y});
    return file.read();
  };
  CHECK(run(pad({0, 0, 1, 0, 0, 1, 0, 0}, {1, 2, 3, 1}, {}), {5, 6}) == Codes{0, 0, 0, 5, 6, 0});
  CHECK(run(pad({0, 0, 1, 0, 0, 1, 0, 0}, {1, 2, 3, 1}, int8_t{0}), {5, 6}) ==
        Codes{0, 0, 0, 5, 6, 0});
  CHECK(run(pad({0, 0, 1, 0, 0, 1, 0, 0}, {1, 2, 3, 1}, int8_t{-128}), {5, 6}) ==
        Codes{-128, -128, -128, 5, 6, -128});
  const auto refused = [&](const std::vector<int32_t>& paddings, std::vector<int32_t> out,
                           std::optional<int8_t> value, ErrorCode code, const char* part) {
    CHECK(contains(error_text(code, [&] { pad(paddings, std::move(out), value); }), part));
  };
  refused({1, 0, 0, 0, 0, 0, 0, 0}, {2, 1, 2, 1}, {}, ErrorCode::unsupported, "batch");
  refused({0, 0, -1, 0, 0, 0, 0, 0}, {1, 1, 2, 1}, {}, ErrorCode::shape_mismatch, "PAD");
}

TEST_CASE("tflite CONCATENATION, PACK, UNPACK, SPLIT, SPLIT_V") {
  OneOp concat({1, 2, 2}, {1, 2, 4});
  tflite::ConcatenationOptionsT options;
  options.axis = -1;
  concat.add(BuiltinOperator::CONCATENATION, {concat.x, concat.x}, {concat.y}, options);
  CHECK(run(concat.read()) == Codes{0, 1, 0, 1, 2, 3, 2, 3});

  // SPLIT to two, packed on a new axis, unpacked again.
  OneOp file({1, 4}, {1, 2});
  const int a = file.int8("a", {1, 2}), b = file.int8("b", {1, 2}), p = file.int8("p", {1, 2, 2}),
            u = file.int8("u", {1, 2});
  const int axis = file.constant<int32_t>("axis", TensorType::INT32, {}, {1});
  tflite::SplitOptionsT split;
  split.num_splits = 2;
  tflite::PackOptionsT pack;
  pack.axis = 1;
  pack.values_count = 2;
  tflite::UnpackOptionsT unpack;
  unpack.axis = 2;
  unpack.num = 2;
  file.add(BuiltinOperator::SPLIT, {axis, file.x}, {a, b}, split);
  file.add(BuiltinOperator::PACK, {b, a}, {p}, pack);
  file.add(BuiltinOperator::UNPACK, {p}, {u, file.y}, unpack);
  CHECK(run(file.read()) == Codes{3, 1});

  OneOp pieces({1, 5}, {1, 3});
  const int front = pieces.int8("front", {1, 2});
  const int sizes = pieces.int32s("sizes", {2, -1}), last = pieces.int32s("last", {-1});
  pieces.add(BuiltinOperator::SPLIT_V, {pieces.x, sizes, last}, {front, pieces.y},
             tflite::SplitVOptionsT{});
  CHECK(run(pieces.read()) == Codes{2, 3, 4});

  OneOp uneven({1, 5}, {1, 2});
  const int other = uneven.int8("other", {1, 2});
  const int one = uneven.int32s("one", {1});
  uneven.add(BuiltinOperator::SPLIT, {one, uneven.x}, {other, uneven.y}, split);
  CHECK(contains(error_text(ErrorCode::shape_mismatch, [&] { uneven.read(); }), "equal pieces"));

  // Rows packed on axis 0, which is not the batch.
  OneOp rows({1, 2}, {2, 1, 2});
  pack.axis = 0;
  rows.add(BuiltinOperator::PACK, {rows.x, rows.x}, {rows.y}, pack);
  CHECK(run(rows.read()) == Codes{0, 1, 0, 1});
}

TEST_CASE("tflite SLICE and STRIDED_SLICE: masks, negative indices, shrunk axes") {
  OneOp slice({1, 3, 4}, {1, 2, 2});
  const int begin = slice.int32s("begin", {0, 1, 2}), size = slice.int32s("size", {1, 2, -1});
  slice.add(BuiltinOperator::SLICE, {slice.x, begin, size}, {slice.y});
  CHECK(run(slice.read()) == Codes{6, 7, 10, 11});
  const auto strided = [](std::vector<int32_t> out, const std::vector<int32_t>& from,
                          const std::vector<int32_t>& to, const std::vector<int32_t>& steps,
                          tflite::StridedSliceOptionsT options) {
    OneOp file({1, 3, 4}, std::move(out));
    const int b = file.int32s("b", from), e = file.int32s("e", to), s = file.int32s("s", steps);
    file.add(BuiltinOperator::STRIDED_SLICE, {file.x, b, e, s}, {file.y}, options);
    return file.read();
  };
  tflite::StridedSliceOptionsT plain, masks, shrink, offset, ellipsis;
  CHECK(run(strided({1, 2, 2}, {0, 0, 0}, {1, 3, 4}, {1, 2, 3}, plain)) == Codes{0, 3, 8, 11});
  CHECK(run(strided({1, 1, 2}, {0, -1, -3}, {1, 3, -1}, {1, 1, 1}, plain)) == Codes{9, 10});
  masks.begin_mask = 0b101;
  masks.end_mask = 0b111;
  CHECK(run(strided({1, 2, 4}, {9, 1, 9}, {0, 0, 0}, {1, 1, 1}, masks)) ==
        Codes{4, 5, 6, 7, 8, 9, 10, 11});
  shrink.shrink_axis_mask = 0b010;
  CHECK(run(strided({1, 4}, {0, -1, 0}, {1, 0, 4}, {1, 1, 1}, shrink)) == Codes{8, 9, 10, 11});
  offset.offset = true;
  CHECK(run(strided({1, 1, 2}, {0, 1, 1}, {1, 1, 2}, {1, 1, 1}, offset)) == Codes{5, 6});
  // Fewer entries than axes: the others whole.
  CHECK(run(strided({1, 1, 4}, {0, 2}, {1, 3}, {1, 1}, plain)) == Codes{8, 9, 10, 11});
  const auto refused = [&](auto make, ErrorCode code, const char* part) {
    CHECK(contains(error_text(code, make), part));
  };
  ellipsis.ellipsis_mask = 1;
  refused([&] { strided({1, 3, 4}, {0}, {1}, {1}, ellipsis); }, ErrorCode::unsupported, "ellipsis");
  refused(
      [&] {
        strided({1, 3, 4}, {0, 0, 3}, {1, 3, 0}, {1, 1, -1}, plain);
      },
      ErrorCode::unsupported, "stride -1");
  refused(
      [&] {
        strided({1, 3, 4}, {0, 0, 0}, {1, 3, 4}, {1, 1, 0}, plain);
      },
      ErrorCode::unsupported, "stride 0");
  refused(
      [&] {
        strided({1, 3}, {0, 0, 9}, {1, 3, 4}, {1, 1, 1}, [] {
          tflite::StridedSliceOptionsT o;
          o.shrink_axis_mask = 4;
          return o;
        }());
      },
      ErrorCode::bad_value, "index 9");
  refused(
      [&] {
        strided({1, 0, 4}, {0, 2, 0}, {1, 2, 4}, {1, 1, 1}, plain);
      },
      ErrorCode::unsupported, "one index or more");
}

TEST_CASE("tflite TRANSPOSE: axes, and the batch axis of a single image moves behind") {
  const auto transpose = [](std::vector<int32_t> in, std::vector<int32_t> out,
                            const std::vector<int32_t>& order) {
    OneOp file(std::move(in), std::move(out));
    const int list = file.int32s("order", order);
    file.add(BuiltinOperator::TRANSPOSE, {file.x, list}, {file.y});
    return file.read();
  };
  CHECK(run(transpose({1, 2, 3}, {1, 3, 2}, {0, 2, 1})) == Codes{0, 3, 1, 4, 2, 5});
  CHECK(run(transpose({1, 2, 3}, {2, 1, 3}, {1, 0, 2})) == Codes{0, 1, 2, 3, 4, 5});
  CHECK(run(transpose({1, 2, 3}, {3, 2, 1}, {2, 1, 0})) == Codes{0, 3, 1, 4, 2, 5});
  CHECK(contains(error_text(ErrorCode::unsupported,
                            [&] {
                              transpose({2, 2, 3}, {2, 2, 3}, {1, 0, 2});
                            }),
                 "images must stay apart"));
}

TEST_CASE("tflite RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR") {
  const auto resize = [](BuiltinOperator code, auto options) {
    OneOp file({1, 1, 2, 1}, {1, 1, 4, 1});
    const int size = file.int32s("size", {1, 4});
    file.add(code, {file.x, size}, {file.y}, options);
    return file.read();
  };
  CHECK(
      run(resize(BuiltinOperator::RESIZE_NEAREST_NEIGHBOR, tflite::ResizeNearestNeighborOptionsT{}),
          {0, 8}) == Codes{0, 0, 8, 8});
  tflite::ResizeBilinearOptionsT half;
  half.half_pixel_centers = true;
  CHECK(run(resize(BuiltinOperator::RESIZE_BILINEAR, half), {0, 8}) == Codes{0, 2, 6, 8});
}

TEST_CASE("tflite TRANSPOSE_CONV: SAME and VALID, the output's own extents") {
  const auto convolve = [](tflite::Padding padding, int in, int kernel, int stride, int out) {
    OneOp file({1, 1, in, 1}, {1, 1, out, 1});
    std::vector<int8_t> weights(static_cast<size_t>(kernel));
    std::iota(weights.begin(), weights.end(), static_cast<int8_t>(1));
    const int w =
        file.constant<int8_t>("w", TensorType::INT8, {1, 1, kernel, 1}, weights, {{1.0f}, {0}});
    const int shape = file.int32s("shape", {1, 1, out, 1});
    tflite::TransposeConvOptionsT options;
    options.padding = padding;
    options.stride_w = stride;
    options.stride_h = 1;
    file.add(BuiltinOperator::TRANSPOSE_CONV, {shape, w, file.x}, {file.y}, options);
    return file.read();
  };
  // Each input pixel adds (1, 2, 3) at twice its place.
  CHECK(run(convolve(tflite::Padding::VALID, 2, 3, 2, 5), {1, 10}) == Codes{1, 2, 13, 20, 30});
  // SAME to 4: nothing is cut in front, one behind.
  CHECK(run(convolve(tflite::Padding::SAME, 2, 3, 2, 4), {1, 10}) == Codes{1, 2, 13, 20});
  // Stride 1, SAME: one is cut in front and one behind.
  CHECK(run(convolve(tflite::Padding::SAME, 3, 3, 1, 3), {1, 10, 0}) == Codes{12, 23, 30});
  // An output longer than all taps reach.
  CHECK(run(convolve(tflite::Padding::VALID, 2, 2, 3, 6), {1, 10}) == Codes{1, 2, 0, 10, 20, 0});
}

}  // namespace
}  // namespace facsim::test
