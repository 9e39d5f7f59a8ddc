// SPDX-License-Identifier: Apache-2.0
// Operators that compute: what they become, and that the network then runs: codes by hand under
// tflite-micro.
#include <doctest/doctest.h>

#include "tests/formats/temp_folder.h"
#include "tests/tflite/one_op.h"

namespace facsim::test {
namespace {

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
