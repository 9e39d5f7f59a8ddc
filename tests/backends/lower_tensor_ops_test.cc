// SPDX-License-Identifier: Apache-2.0
// Nodes of the ops that combine, move and reduce tensors, lowered from scales, and the numbers in
// which TFLite's and CMSIS-NN's 16-bit arithmetic differ.
#include "backends/lower/tensor_ops.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "backends/lower/given_arguments.h"
#include "backends/lower/node-internal.h"
#include "sim/core/error.h"
#include "tests/backends/lowering.h"

namespace facsim::backends {
namespace {

using test::qparams_of;

struct NodeInput {
  Tensor codes;
  quant::QParams qparams;
  bool constant = false;
};

template <class T>
NodeInput input_of(const Shape& shape, const std::vector<T>& values, const quant::QParams& qparams,
                   bool constant = false) {
  return {Tensor::from<T>(shape, values), qparams, constant};
}

/// A network of one node, lowered under `profile`, run.
std::vector<int64_t> run_op(const Profile& profile, const std::string& op,
                            const std::vector<NodeInput>& inputs, const quant::QParams& output,
                            const Shape& output_shape, const NodeAttributes& attributes = {}) {
  IntGraph graph;
  graph.name = "one node";
  IntNode node;
  node.name = node.op = op;
  node.attributes = attributes;
  std::vector<const Tensor*> tensors;
  for (const NodeInput& input : inputs) {
    node.inputs.push_back(static_cast<int>(graph.tensors.size()));
    IntTensor tensor{"x" + std::to_string(graph.tensors.size()), input.codes.dtype(),
                     input.codes.shape(), input.qparams, std::nullopt};
    if (input.constant) {
      tensor.data = input.codes;
    } else {
      graph.inputs.push_back(node.inputs.back());
      tensors.push_back(&input.codes);
    }
    graph.tensors.push_back(std::move(tensor));
  }
  node.output = static_cast<int>(graph.tensors.size());
  graph.outputs = {node.output};
  graph.tensors.push_back({"y", output.type.storage(), output_shape, output, std::nullopt});
  graph.nodes.push_back(std::move(node));
  const sim::Graph lowered = lower(graph, profile);
  Tensor y(output.type.storage(), output_shape);
  lowered.nodes.front().op->run(tensors, y, {});
  std::vector<int64_t> values;
  for (int64_t i = 0; i < y.numel(); ++i) values.push_back(y.int_at(i));
  return values;
}

Profile profile_named(const char* name) { return load_profile(name, ProfileSearch::standard()); }

using Codes = std::vector<int64_t>;

}  // namespace

TEST_CASE("lower_tensor_ops: sub, mul and batch_matmul compute with real values") {
  const Profile tflite = profile_named("tflite-reference");
  const NodeInput a = input_of<int8_t>({1, 4}, {10, 20, -30, 127}, qparams_of(0.5f, 10));
  const NodeInput b = input_of<int8_t>({1, 4}, {4, 8, -128, -4}, qparams_of(0.25f, 0));
  // Real: 0, 5, -20, 58.5 minus 1, 2, -32, -1.
  CHECK(run_op(tflite, "sub", {a, b}, qparams_of(0.5f, -3), {1, 4}) == Codes{-5, 3, 21, 116});
  // Times: 0, 10, 640, -58.5.
  CHECK(run_op(tflite, "mul", {a, b}, qparams_of(10.0f, 1), {1, 4}) == Codes{1, 2, 65, -5});
  NodeAttributes turned;
  turned.transpose_rhs = true;
  const NodeInput m = input_of<int8_t>({1, 2, 2}, {1, 2, 3, 4}, qparams_of(1.0f, 0));
  const NodeInput n = input_of<int8_t>({1, 2, 2}, {5, 6, 7, 8}, qparams_of(0.5f, 4));
  // (1 2; 3 4) times the rows (1 2)/2, (3 4)/2.
  CHECK(run_op(tflite, "batch_matmul", {m, n}, qparams_of(0.5f, 0), {1, 2, 2}, turned) ==
        Codes{5, 11, 11, 25});
}

TEST_CASE("lower_tensor_ops: 16-bit sums use the shift of 15, and take constants") {
  const Profile micro = profile_named("tflite-micro");
  const quant::QParams q = qparams_of(0.125f, 0, sim::kInt16);
  const NodeInput a = input_of<int16_t>({1, 3}, {32767, -32768, 100}, q);
  const NodeInput b = input_of<int16_t>({1, 1}, {-7}, q, true);
  const quant::QParams half = qparams_of(0.25f, 0, sim::kInt16);
  CHECK(run_op(micro, "add", {a, b}, half, {1, 3}) == Codes{16380, -16388, 47});
  CHECK(run_op(micro, "sub", {a, b}, half, {1, 3}) == Codes{16387, -16381, 54});
}

namespace {

/// MultiplyByQuantizedMultiplier with a right shift: half up at 31 bits, then half away from zero.
int64_t scaled(int64_t x, int64_t multiplier, int right_shift) {
  const int64_t high = (x * multiplier + (int64_t{1} << 30)) >> 31;
  const int64_t half = right_shift == 0 ? 0 : int64_t{1} << (right_shift - 1);
  const int64_t magnitude = ((high < 0 ? -high : high) + half) >> right_shift;
  return high < 0 ? -magnitude : magnitude;
}

}  // namespace

TEST_CASE("lower_tensor_ops: TFLite Micro derives the multipliers of SUB in float32") {
  // A layer of the recorded models. In float64: 1763377639 and 1428552310; in float32: 1763377664
  // and 1428552320.
  const quant::QParams lhs = qparams_of(0.0050774915143847466f, 0, sim::kInt16);
  const quant::QParams rhs = qparams_of(8.143192644638475e-06f, 0, sim::kInt16);
  const quant::QParams out = qparams_of(0.0019081957871094346f, 0, sim::kInt16);
  constexpr int64_t kCount = 20000;
  Tensor a(DType::int16, {1, kCount}), b(DType::int16, {1, kCount});
  uint32_t random = 1;
  for (int64_t i = 0; i < kCount; ++i) {
    random = random * 1664525 + 1013904223;
    a.set_int(i, static_cast<int16_t>(random >> 16));
    random = random * 1664525 + 1013904223;
    b.set_int(i, static_cast<int16_t>(random >> 16));
  }
  const std::vector<const Tensor*> inputs = {&a, &b};
  const auto run = [&](const char* profile) {
    Tensor y(DType::int16, {1, kCount});
    lower_sub(profile_named(profile), lhs, rhs, out, Activation::none)->run(inputs, y, {});
    return y;
  };
  const auto expected = [&](int64_t i, int64_t rhs_multiplier, int64_t out_multiplier) {
    const int64_t difference = scaled(a.int_at(i) * 32768, 1073741824, 0) -
                               scaled(b.int_at(i) * 32768, rhs_multiplier, 10);
    return std::clamp<int64_t>(scaled(difference, out_multiplier, 12), -32768, 32767);
  };
  const Tensor in_float64 = run("tflite-reference"), in_float32 = run("tflite-micro");
  int64_t apart = 0;
  for (int64_t i = 0; i < kCount; ++i) {
    REQUIRE(in_float64.int_at(i) == expected(i, 1763377639, 1428552310));
    REQUIRE(in_float32.int_at(i) == expected(i, 1763377664, 1428552320));
    apart += in_float64.int_at(i) != in_float32.int_at(i) ? 1 : 0;
  }
  CHECK(apart > 0);
}

TEST_CASE("lower_tensor_ops: int16 fractions multiply to int8 with two roundings") {
  const Profile tflite = profile_named("tflite-reference");
  const quant::QParams fraction = qparams_of(0x1p-15f, 0, sim::kInt16);
  const NodeInput a = input_of<int16_t>({1, 5}, {-32768, 32767, 16384, 181, -181}, fraction);
  const NodeInput b = input_of<int16_t>({1, 5}, {-32768, 32767, -16384, 23174, 23174}, fraction);
  // -1 * -1 saturates to 32767, 32766, -8192, 128 (a tie: 0.5 up to 1), -128 (away from zero).
  CHECK(run_op(tflite, "mul", {a, b}, qparams_of(0x1p-7f, 0), {1, 5}) ==
        Codes{127, 127, -32, 1, -1});
  CHECK_THROWS_AS(run_op(tflite, "mul", {a, b}, qparams_of(0x1p-6f, 0), {1, 5}), Error);
  const NodeInput c = input_of<int8_t>({1, 5}, {1, 2, 3, 4, 5}, qparams_of(0x1p-15f, 0));
  CHECK_THROWS_AS(run_op(tflite, "mul", {a, c}, fraction, {1, 5}), Error);
}

TEST_CASE("lower_tensor_ops: minimum and maximum need one scale") {
  const Profile tflite = profile_named("tflite-reference");
  const quant::QParams q = qparams_of(0.5f, 3);
  const NodeInput a = input_of<int8_t>({1, 3}, {1, 2, 3}, q), b = input_of<int8_t>({1, 1}, {2}, q);
  CHECK(run_op(tflite, "minimum", {a, b}, q, {1, 3}) == Codes{1, 2, 2});
  CHECK(run_op(tflite, "maximum", {a, b}, q, {1, 3}) == Codes{2, 2, 3});
  CHECK_THROWS_AS(run_op(tflite, "minimum", {a, b}, qparams_of(0.25f, 3), {1, 3}), Error);
}

TEST_CASE("lower_tensor_ops: mean folds the number of elements into the multiplier") {
  const Profile tflite = profile_named("tflite-reference");
  NodeAttributes attributes;
  attributes.axes = {1, 2};
  const NodeInput x = input_of<int8_t>({1, 1, 3, 1}, {10, 11, 12}, qparams_of(1.0f, 5));
  CHECK(run_op(tflite, "mean", {x}, qparams_of(0.5f, -1), {1, 1, 1, 1}, attributes) == Codes{11});
  // M = 2^30, W = 30: count 3 folds k = 1: M * 2 / 3 = 715827882 (cut from 715827882.67) at shift
  // 31.
  const auto op = lower_mean(tflite, qparams_of(1.0f, 0), {1}, true, 3, qparams_of(1.0f, 0));
  const Tensor ones = Tensor::from<int8_t>(Shape{1, 3}, std::vector<int8_t>{1, 1, 0});
  const std::vector<const Tensor*> inputs = {&ones};
  const sim::Explanation explanation = op->explain(inputs, 0);
  const auto is_product = [](const sim::TracedStep& step) { return step.integer == 2 * 715827882; };
  CHECK(std::any_of(explanation.steps.begin(), explanation.steps.end(), is_product));
  CHECK(explanation.result == 1);  // 0.67
  // Without folding, 1 / 3 itself is the real multiplier: 2^31 * 2 / 3 at shift 32.
  const Profile plain = load_profile("tflite-reference", ProfileSearch::standard(),
                                     {{"/ops/mean/algorithm", "requantized_mean"}});
  const auto exact = lower_mean(plain, qparams_of(1.0f, 0), {1}, true, 3, qparams_of(1.0f, 0));
  CHECK(exact->explain(inputs, 0).result == 1);
  // The output's own range holds, not its type's.
  quant::QParams narrow = qparams_of(0.01f, 0);
  narrow.quant_min = -127;
  const auto low = lower_mean(tflite, qparams_of(1.0f, 5), {1}, true, 3, narrow);
  CHECK(low->explain(inputs, 0).result == -127);
}

TEST_CASE("lower_tensor_ops: concat requantizes only inputs of another scale") {
  const Profile tflite = profile_named("tflite-reference");
  NodeAttributes attributes;
  attributes.axis = 1;
  const NodeInput a = input_of<int8_t>({1, 2}, {1, -128}, qparams_of(0.5f, 1));
  const NodeInput b = input_of<int8_t>({1, 3}, {8, 9, -128}, qparams_of(0.25f, 0));
  CHECK(run_op(tflite, "concat", {a, b, a}, qparams_of(0.5f, 1), {1, 7}, attributes) ==
        Codes{1, -128, 5, 6, -63, 1, -128});  // 9 / 2 = 4.5, away from zero
}

TEST_CASE("lower_tensor_ops: axes whose low 32 bits are those of good ones are refused") {
  const Profile tflite = profile_named("tflite-reference");
  const quant::QParams q = qparams_of(0.5f, 0);
  const IntTensor tensor{"x", DType::int8, Shape{1, 2}, q, std::nullopt};
  IntGraph graph;
  graph.tensors = {tensor, tensor};
  IntNode node;
  node.inputs = {0};
  node.output = 1;
  const detail::NodeView view(graph, node, tflite);
  // Shapes are checked before a graph is lowered; the lowerings themselves refuse as well.
  node.op = "transpose";
  node.attributes.permutation = {0, (int64_t{1} << 32) + 1};
  CHECK_THROWS_WITH_AS(detail::lower_node_transpose(view), doctest::Contains("0..7"), Error);
  node.attributes.permutation = {0, 1};
  CHECK_NOTHROW(detail::lower_node_transpose(view));
  node.op = "concat";
  node.attributes.axis = (int64_t{1} << 32) + 1;
  CHECK_THROWS_WITH_AS(detail::lower_node_concat(view), doctest::Contains("0..7"), Error);
  node.attributes.axis = 1;
  CHECK_NOTHROW(detail::lower_node_concat(view));
}

TEST_CASE("lower_tensor_ops: pad, slice, transpose and resize move codes") {
  const Profile tflite = profile_named("tflite-reference");
  const quant::QParams q = qparams_of(0.5f, -9);
  const NodeInput x = input_of<int8_t>({1, 2, 2, 1}, {1, 2, 3, 4}, q);
  NodeAttributes pad;
  pad.pad_before = {0, 1, 0, 0};
  pad.pad_after = {0, 0, 1, 0};
  CHECK(run_op(tflite, "pad", {x}, q, {1, 3, 3, 1}, pad) == Codes{-9, -9, -9, 1, 2, -9, 3, 4, -9});
  NodeAttributes slice;
  slice.begin = {0, 1, 0, 0};
  slice.end = {1, 2, 2, 1};
  slice.strides = {1, 1, 1, 1};
  CHECK(run_op(tflite, "slice", {x}, q, {1, 1, 2, 1}, slice) == Codes{3, 4});
  NodeAttributes transpose;
  transpose.permutation = {0, 2, 1, 3};
  CHECK(run_op(tflite, "transpose", {x}, q, {1, 2, 2, 1}, transpose) == Codes{1, 3, 2, 4});
  NodeAttributes resize;
  resize.resize.size = {1, 4};
  CHECK(run_op(tflite, "resize", {x}, q, {1, 1, 4, 1}, resize) == Codes{1, 1, 2, 2});
  resize.resize.mode = ResizeAttributes::Mode::bilinear;
  CHECK(run_op(tflite, "resize", {x}, q, {1, 1, 4, 1}, resize) == Codes{1, 2, 2, 2});
  CHECK_THROWS_AS(run_op(tflite, "pad", {x}, qparams_of(0.25f, -9), {1, 3, 3, 1}, pad), Error);
  CHECK_THROWS_AS(run_op(profile_named("example-chip"), "pad", {x}, q, {1, 3, 3, 1}, pad), Error);
}

TEST_CASE("lower_tensor_ops: a transposed convolution is lowered like a convolution") {
  const Profile tflite = profile_named("tflite-reference");
  const NodeInput x = input_of<int8_t>({1, 1, 2, 1}, {5, 7}, qparams_of(1.0f, 3));
  const NodeInput w = input_of<int8_t>({1, 1, 2, 1}, {1, 10}, qparams_of(1.0f, 0), true);
  const NodeInput bias = input_of<int32_t>({1}, {100}, qparams_of(1.0f, 0, sim::kInt32), true);
  NodeAttributes attributes;
  attributes.window.kernel = {1, 2};
  attributes.window.stride = {1, 3};
  // Real inputs 2, 4; a column without taps between them.
  CHECK(run_op(tflite, "transpose_conv2d", {x, w, bias}, qparams_of(2.0f, 0), {1, 1, 5, 1},
               attributes) == Codes{51, 60, 50, 52, 70});
}

TEST_CASE("pitfall 8: a multiplier cut to 16 bits, 5765 with all 31 bits 5766") {
  const auto requantize = [](const char* op) {
    GivenArguments given;
    given.multiplier = {1134312299};
    given.shift = {31 + 14};
    given.output = sim::kInt32;
    const Profile micro = profile_named("tflite-micro");
    sim::Events events;
    return make_requantizer(micro.rules(op), given).apply(178837022, 0, events);
  };
  CHECK(requantize("conv2d int16x8") == 5765);
  CHECK(requantize("conv2d int16x8_bias32") == 5766);
}

TEST_CASE("pitfall 9: CMSIS-NN narrows to 32 bits before its last step") {
  const auto requantize = [](const char* profile) {
    GivenArguments given;
    given.multiplier = {2147450879};
    given.shift = {31 - 1};
    given.output = sim::kInt16;
    sim::Events events;
    return make_requantizer(profile_named(profile).rules("conv2d int16x8"), given)
        .apply(1073741825, 0, events);
  };
  CHECK(requantize("tflite-micro") == 32767);
  CHECK(requantize("cmsis-nn") == -32768);
}

TEST_CASE("pitfall 10: arm_convolve_s16 sums in 32 bits although its bias has 64") {
  const auto convolve = [](const char* profile_name) {
    const Profile profile = profile_named(profile_name);
    Tensor x(DType::int16, {1, 1, 1, 2048}), w(DType::int8, {1, 1, 1, 2048});
    for (int64_t i = 0; i < 2048; ++i) {
      x.set_int(i, 32767);
      w.set_int(i, 127);
    }
    const quant::QParams q = qparams_of(1.0f, 0, sim::kInt16);
    LayerBias bias;
    bias.codes = Tensor(DType::int64, {1});
    sim::Conv2dParams params =
        lower_conv2d(profile, {}, 1, q, w, qparams_of(1.0f, 0), bias, q, Activation::none);
    GivenMultiplier given;
    given.multiplier = {int64_t{1} << 30};
    given.shift = {31 + 18};
    given.clamp = {-32768, 32767};
    given.output = sim::kInt16;
    params.requantize =
        make_requantizer(profile.rules_for("conv2d", sim::kInt16, DType::int64), given);
    const sim::Conv2d op(std::move(params));
    Codes results;
    for (const sim::Isa isa : {sim::Isa::scalar, sim::Isa::best}) {
      Tensor y(DType::int16, {1, 1, 1, 1});
      const std::vector<const Tensor*> inputs = {&x};
      op.run(inputs, y, {.isa = isa});
      results.push_back(y.int_at(0));
    }
    return results;
  };
  CHECK(convolve("tflite-micro") == Codes{16256, 16256});
  CHECK(convolve("cmsis-nn") == Codes{-128, -128});
}

TEST_CASE("lower_tensor_ops: the type of the bias chooses the arithmetic of int16 activations") {
  const Profile micro = profile_named("tflite-micro");
  CHECK(micro.rules_for("linear", sim::kInt16, DType::int64).accumulator.bits == 64);
  CHECK(micro.rules_for("linear", sim::kInt16).accumulator.bits == 64);
  CHECK(micro.rules_for("linear", sim::kInt16, DType::int32).accumulator.bits == 32);
  CHECK(micro.rules_for("linear", sim::kInt8, DType::int32).accumulator.bits == 32);
  CHECK(micro.rules_for("linear", sim::kInt16, DType::int64).multiplier.reduce_to_bits == 16);
}

}  // namespace facsim::backends
