// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/lower.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "sim/core/error.h"
#include "sim/graph/executor.h"
#include "tests/backends/lowering.h"

namespace facsim::backends {
namespace {

using test::qparams_of;
using test::shipped_profile;

int64_t apply(const sim::Requantizer& requantizer, int64_t acc) {
  sim::Events events;
  return requantizer.apply(acc, 0, events);
}

/// Runs what throws an Error; its text.
template <class Body>
std::string error_of(Body body) {
  try {
    body();
  } catch (const Error& e) {
    return std::string(to_string(e.code())) + ": " + e.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Values computed by hand from the platforms' formulas.
TEST_CASE("lower: given multipliers are rounded as each platform does") {
  struct Case {
    const char* profile;
    int64_t acc, multiplier, shift, expected;
    const char* reason;
  };
  const int64_t q30 = int64_t{1} << 30;
  for (const Case& c : {
           Case{"tflite-micro", 7, 1073774592, 34, 1, "0.4375: 7 at 31 bits rounds up to a tie"},
           Case{"tflite-single-rounding", 7, 1073774592, 34, 0, "0.4375 once"},
           Case{"tflite-micro", -2, q30, 32, -1, "-0.5 away from zero"},
           Case{"tflite-single-rounding", -2, q30, 32, 0, "-0.5 towards +infinity"},
           Case{"tflite-micro", 3, q30, 32, 1, "0.75"},
           Case{"tflite-micro", 1, q30, 28, 4, "left shift by 3"},
           Case{"tflite-single-rounding", 1, q30, 28, 4, "left shift inside the right shift"},
           Case{"example-chip", 1, 16384, 15, 0, "0.5 to the even 0"},
           Case{"example-chip", 3, 16384, 15, 2, "1.5 to the even 2"},
           Case{"tflite-micro", 1 << 20, q30, 30, 127, "saturates"},
           Case{"tflite-micro", -(1 << 20), q30, 30, -128, "saturates"},
       }) {
    CAPTURE(c.profile);
    CAPTURE(c.reason);
    GivenMultiplier given;
    given.multiplier = {c.multiplier};
    given.shift = {c.shift};
    given.clamp = {-128, 127};
    CHECK(apply(make_requantizer(shipped_profile(c.profile).rules("conv2d"), given), c.acc) ==
          c.expected);
  }
}

TEST_CASE("lower: given zero points and clamps are codes of the output") {
  const Profile profile = shipped_profile("xnnpack-x86");
  const OpRules& rules = profile.rules("conv2d");
  const auto given_with = [](int64_t zero_point, const ClampBounds& clamp, sim::IntType output) {
    GivenMultiplier given;
    given.scale = {0.5f};
    given.zero_point = zero_point;
    given.clamp = clamp;
    given.output = output;
    return given;
  };
  CHECK_THROWS_WITH_AS(make_requantizer(rules, given_with(128, {0, 0}, sim::kInt8)),
                       doctest::Contains("zero_point"), Error);
  CHECK_THROWS_WITH_AS(make_requantizer(rules, given_with(1, {INT64_MIN, 0}, sim::kInt8)),
                       doctest::Contains("clamp_min"), Error);
  CHECK_THROWS_WITH_AS(make_requantizer(rules, given_with(-1, {0, 128}, sim::kInt8)),
                       doctest::Contains("clamp_max"), Error);
  // The whole range of 64 bits less a zero point leaves int64; it still bounds nothing.
  const sim::IntType int64{64, true};
  const sim::Requantizer wide =
      make_requantizer(rules, given_with(1, {INT64_MIN, INT64_MAX}, int64));
  sim::Events events;
  CHECK(wide.apply(-8, 0, events) == -3);
  CHECK(wide.apply(8, 0, events) == 5);
}

TEST_CASE("lower: given float scales, zero point after rounding") {
  GivenMultiplier given;
  given.scale = {0.25f};
  given.zero_point = 127;
  given.clamp = {-128, 127};
  CHECK(apply(make_requantizer(shipped_profile("xnnpack-x86").rules("conv2d"), given), -2) == 127);
  CHECK(contains(
      error_of([&] { make_requantizer(shipped_profile("tflite-micro").rules("conv2d"), given); }),
      "unsupported: requantize: no \"multiplier\" was given"));
}

TEST_CASE("lower: the same scales give each platform's own rounding") {
  // 40 * 0.5 * 0.125 / 1.0 = 2.5.
  const LinearScales scales{0.5f, {0.125f}, qparams_of(1.0f, 0), Activation::none};
  const LayerBias none;
  CHECK(apply(make_requantizer(shipped_profile("tflite-micro").rules("linear"), scales, none),
              40) == 3);
  CHECK(apply(make_requantizer(shipped_profile("tflite-micro").rules("linear"), scales, none),
              -40) == -3);
  CHECK(apply(make_requantizer(shipped_profile("tflite-single-rounding").rules("linear"), scales,
                               none),
              -40) == -2);
  CHECK(apply(make_requantizer(shipped_profile("xnnpack-x86").rules("linear"), scales, none), 40) ==
        2);
  CHECK(apply(make_requantizer(shipped_profile("tensorrt").rules("linear"), scales, none), 40) ==
        2);
  CHECK(apply(make_requantizer(shipped_profile("vitis-ai").rules("linear"), scales, none), 40) ==
        3);
  CHECK(apply(make_requantizer(shipped_profile("vitis-ai").rules("linear"), scales, none), -40) ==
        -2);
  CHECK(apply(make_requantizer(shipped_profile("example-chip").rules("linear"), scales, none),
              40) == 2);
}

TEST_CASE("lower: biases in accumulator units round by the profile and saturate") {
  const std::vector<double> bias = {0.0625, -0.0625, 1e12, 0.1875};  // 0.5 -0.5 huge 1.5 steps
  const std::vector<float> weight_scale = {0.25f};
  const auto codes = [&](const char* profile) {
    const LayerBias b =
        quantize_bias(shipped_profile(profile).rules("conv2d"), bias, 0.5f, weight_scale);
    return std::vector<int32_t>(b.codes.data<int32_t>(), b.codes.data<int32_t>() + 4);
  };
  CHECK(codes("tflite-micro") == std::vector<int32_t>{1, -1, INT32_MAX, 2});
  CHECK(codes("onnxruntime-cpu") == std::vector<int32_t>{0, 0, INT32_MAX, 2});
  CHECK(codes("example-chip") == std::vector<int32_t>{0, 0, (1 << 19) - 1, 2});

  const LayerBias per_channel =
      quantize_bias(shipped_profile("tflite-micro").rules("conv2d"), std::vector<double>{1.0, 1.0},
                    0.5f, std::vector<float>{0.25f, 0.5f});
  CHECK(per_channel.qparams.scale == std::vector<float>{0.125f, 0.25f});
  CHECK(per_channel.qparams.channel_axis == 0);
  CHECK(per_channel.codes.int_at(0) == 8);
  CHECK(per_channel.codes.int_at(1) == 4);
}

TEST_CASE("lower: a bias with a zero point is refused") {
  const Profile profile = load_profile("tflite-micro", ProfileSearch::standard());
  LayerBias bias;
  bias.codes = Tensor(DType::int32, Shape{1});
  bias.qparams = {{0.5f}, {300}, -1, sim::IntType{32, true}, INT32_MIN, INT32_MAX};
  const std::vector<float> weight_scale{1.0f};
  CHECK_THROWS_WITH_AS(accumulator_bias(profile.rules("conv2d"), bias, 0.5f, weight_scale),
                       doctest::Contains("zero point 300"), Error);
}

TEST_CASE("lower: a bias with a power-of-two scale of its own is shifted to the accumulator") {
  const OpRules rules = shipped_profile("vitis-ai").rules("conv2d");
  const std::vector<float> weight_scale = {0x1p-6f};  // accumulator unit 2^-10
  // 127 * 2^-9 = 0.248 < 0.3 <= 127 * 2^-8.
  const LayerBias bias =
      quantize_bias(rules, std::vector<double>{0.3, -0.1}, 0x1p-4f, weight_scale);
  CHECK(bias.qparams.scale == std::vector<float>{0x1p-8f});
  CHECK(bias.codes.dtype() == DType::int8);
  CHECK(bias.codes.int_at(0) == 77);   // 76.8
  CHECK(bias.codes.int_at(1) == -26);  // -25.6
  const Tensor acc = accumulator_bias(rules, bias, 0x1p-4f, weight_scale);
  CHECK(acc.dtype() == DType::int32);
  CHECK(acc.int_at(0) == 308);
  CHECK(acc.int_at(1) == -104);

  const LayerBias tiny =
      quantize_bias(rules, std::vector<double>{0.0, 1e-9}, 0x1p-4f, weight_scale);
  CHECK(tiny.qparams.scale == std::vector<float>{0x1p-10f});  // never finer than the accumulator
  const LayerBias huge =
      quantize_bias(rules, std::vector<double>{1e6, -1e6}, 0x1p-4f, weight_scale);
  CHECK(huge.qparams.scale == std::vector<float>{0x1p6f});  // at most 16 shifts
  CHECK(huge.codes.int_at(0) == 127);
  CHECK(huge.codes.int_at(1) == -128);
}

TEST_CASE("lower: a float32 bias is part of the program") {
  const OpRules rules = shipped_profile("tensorrt").rules("linear");
  const LayerBias bias =
      quantize_bias(rules, std::vector<double>{0.3, -0.3}, 0.1f, std::vector<float>{0.2f});
  CHECK(bias.codes.dtype() == DType::float32);
  CHECK(accumulator_bias(rules, bias, 0.1f, std::vector<float>{0.2f}).empty());
  const sim::Requantizer r =
      make_requantizer(rules, {0.1f, {0.2f}, qparams_of(0.05f, 0), Activation::none}, bias);
  sim::Events events;
  CHECK(r.apply(100, 0, events) == 46);  // (2.0 + 0.3) / 0.05
  CHECK(r.apply(100, 1, events) == 34);
  // Combined scale: the bias enters in output units, b / s_out.
  const OpRules combined =
      shipped_profile("tensorrt", {{"/requantize/float/scale_factors", "combined"}})
          .rules("linear");
  CHECK(apply(make_requantizer(combined, {0.1f, {0.2f}, qparams_of(0.05f, 0), Activation::none},
                               bias),
              100) == 46);
  // Before the scale: in accumulator units, b / (s_in * s_w).
  const OpRules before =
      shipped_profile("tensorrt", {{"/requantize/float/bias_add", "before_scale"}}).rules("linear");
  CHECK(
      apply(make_requantizer(before, {0.1f, {0.2f}, qparams_of(0.05f, 0), Activation::none}, bias),
            100) == 46);
}

TEST_CASE("lower: activation bounds are codes cut to the type") {
  const OpRules rules = shipped_profile("tflite-micro").rules("conv2d");
  const auto bounds = [&](Activation a, float scale, int64_t zero_point) {
    const ClampBounds b = clamp_bounds(rules, a, qparams_of(scale, zero_point));
    return std::array<int64_t, 2>{b.min, b.max};
  };
  CHECK(bounds(Activation::none, 0.1f, 3) == std::array<int64_t, 2>{-128, 127});
  CHECK(bounds(Activation::relu, 0.1f, 3) == std::array<int64_t, 2>{3, 127});
  CHECK(bounds(Activation::relu6, 0.1f, 3) == std::array<int64_t, 2>{3, 63});
  CHECK(bounds(Activation::relu6, 0.01f, 3) == std::array<int64_t, 2>{3, 127});
  CHECK(bounds(Activation::relu6, 4.0f, -128) == std::array<int64_t, 2>{-128, -126});  // 1.5 -> 2
  CHECK(bounds(Activation::relu_n1_to_1, 0.25f, 0) == std::array<int64_t, 2>{-4, 4});
  CHECK(bounds(Activation::relu6, 1e-38f, 0) == std::array<int64_t, 2>{0, 127});  // infinity
}

TEST_CASE("lower: power-of-two platforms move scales into the legal shifts") {
  const OpRules rules = shipped_profile("vitis-ai").rules("conv2d");
  const auto legal = [&](float in, float w, float out) {
    return legal_scales(rules, in, std::vector<float>{w}, out);
  };
  CHECK(legal(0x1p-7f, 0x1p-7f, 0x1p-4f).weight_scale[0] == 0x1p-7f);    // shift 10
  CHECK(legal(0x1p-7f, 0x1p-14f, 0x1p-3f).weight_scale[0] == 0x1p-12f);  // 18 -> 16
  CHECK(legal(0x1p-1f, 0x1p-1f, 0x1p-4f).output_scale == 0x1p-2f);       // -2 -> 0
  const LegalScales same = legal_scales(shipped_profile("tflite-micro").rules("conv2d"), 0.1f,
                                        std::vector<float>{1e-9f}, 1.0f);
  CHECK(same.weight_scale[0] == 1e-9f);

  const LinearScales illegal{0x1p-7f, {0x1p-14f}, qparams_of(0x1p-3f, 0), Activation::none};
  CHECK(contains(error_of([&] { make_requantizer(rules, illegal, {}); }),
                 "right shift 18; expected 0..16 (profile /domain)"));
}

TEST_CASE("lower: the Vitis AI reciprocals of average pools") {
  const Profile profile = shipped_profile("vitis-ai");
  const auto average = [&](int64_t kh, int64_t kw, int64_t sum, float out_scale) {
    sim::Window2d window;
    window.kernel = {kh, kw};
    const auto op = lower_avg_pool2d(profile, window, false, false, qparams_of(0x1p-4f, 0),
                                     qparams_of(out_scale, 0), Activation::none, kh, kw);
    Tensor image(DType::int8, Shape{1, kh, kw, 1});
    for (int64_t i = 0; i < kh * kw; ++i) {
      const int64_t code = sum / (kh * kw - i);
      image.set_int(i, code);
      sum -= code;
    }
    Tensor output(DType::int8, Shape{1, 1, 1, 1});
    const std::vector<const Tensor*> inputs = {&image};
    op->run(inputs, output, {.isa = sim::Isa::scalar});
    return output.int_at(0);
  };
  CHECK(average(3, 3, 9 * 127, 0x1p-4f) == 125);   // 1143 * 7 / 64 = 125.02, not 127
  CHECK(average(3, 3, 9 * 127, 0x1p-3f) == 63);    // 62.51
  CHECK(average(2, 2, 10, 0x1p-4f) == 3);          // 2.5 up
  CHECK(average(2, 2, -10, 0x1p-4f) == -2);        // -2.5 up
  CHECK(average(7, 7, 49 * 100, 0x1p-4f) == 100);  // 4900 * 21 / 1024 = 100.49
}

TEST_CASE("lower: what a platform cannot do is refused, never replaced") {
  const Profile micro = shipped_profile("tflite-micro");
  const Profile vitis = shipped_profile("vitis-ai");
  const Tensor weights(DType::int8, Shape{2, 3});
  quant::QParams per_channel = qparams_of(0.5f, 0);
  per_channel.scale = {0.5f, 0.25f};
  per_channel.zero_point = {0, 0};
  per_channel.channel_axis = 0;
  const auto linear = [&](const Profile& profile, const quant::QParams& input,
                          const quant::QParams& weight, const LayerBias& bias,
                          const quant::QParams& output) {
    return error_of(
        [&] { lower_linear(profile, input, weights, weight, bias, output, Activation::none); });
  };
  const quant::QParams a = qparams_of(0.5f, 0);
  CHECK(linear(micro, a, per_channel, {}, a).empty());
  CHECK(
      contains(linear(vitis, a, per_channel, {}, a), "unsupported: weights: a scale per channel"));
  CHECK(
      contains(linear(vitis, qparams_of(0.3f, 0), a, {}, a), "scale 0.3; expected a power of two"));
  CHECK(
      contains(linear(shipped_profile("tensorrt"), qparams_of(0.5f, 3), a, {}, a), "zero point 3"));
  // 16-bit inputs have rules of their own, with 16-bit outputs.
  CHECK(contains(linear(micro, qparams_of(0.5f, 0, sim::kInt16), a, {}, a),
                 "unsupported: output: int8; expected int16"));
  CHECK(
      contains(linear(micro, a, qparams_of(0.5f, 1), {}, a), "unsupported: weights: zero point 1"));
  CHECK(contains(linear(micro, a, a, {}, qparams_of(0.0f, 0)), "bad_value: output: scale 0"));
  CHECK(contains(linear(micro, a, a, {}, qparams_of(0.5f, 128)), "zero point 128"));

  LayerBias bias;
  bias.codes = Tensor(DType::float32, Shape{2});
  CHECK(contains(linear(micro, a, a, bias, a), "unsupported: bias: float32"));
  bias.codes = Tensor(DType::int32, Shape{2});
  bias.qparams = qparams_of(1.0f, 0, sim::kInt32);  // 0.25 expected
  CHECK(contains(linear(micro, a, a, bias, a), "bad_value: bias, channel 0: scale 1"));
  bias.codes = Tensor(DType::int32, Shape{3});
  CHECK(contains(linear(micro, a, a, bias, a), "shape_mismatch: bias: 3 values; expected 2"));
  bias.codes = Tensor(DType::int32, Shape{2});
  bias.codes.set_int(1, 1 << 19);  // one above 20 bits
  bias.qparams = qparams_of(0.25f, 0, sim::kInt32);
  const quant::QParams int4 = qparams_of(0.5f, 0, sim::IntType{4, true});
  CHECK(contains(linear(shipped_profile("example-chip"), a, int4, bias, a),
                 "unsupported: bias, channel 1: code 524288; expected -524288..524287"));
  bias.codes.set_int(1, (1 << 19) - 1);
  CHECK(linear(shipped_profile("example-chip"), a, int4, bias, a).empty());

  CHECK(contains(error_of([&] {
                   sim::Window2d window;
                   window.kernel = {2, 2};
                   lower_avg_pool2d(micro, window, false, false, a, qparams_of(0.25f, 0),
                                    Activation::none, 4, 4);
                 }),
                 "unsupported: average pool"));
  CHECK(contains(error_of([&] {
                   lower_add(shipped_profile("tflite-micro", {{"/ops/add", "null"}}), a, a, a,
                             Activation::none);
                 }),
                 "op add has no rules"));
  // XNNPACK refuses either ratio, not only the larger.
  CHECK(contains(error_of([&] {
                   lower_add(shipped_profile("xnnpack-x86"), qparams_of(0.5f, 0),
                             qparams_of(0x1p-12f, 0), qparams_of(0.5f, 0), Activation::none);
                 }),
                 "unsupported: add: input to output scale 0.00048828125; expected 2^-10"));
  CHECK(contains(error_of([&] {
                   quantize_bias(micro.rules("linear"), std::vector<double>{1.0, NAN}, 1.0f,
                                 std::vector<float>{1.0f});
                 }),
                 "bias, channel 1: nan"));
  GivenMultiplier given;
  given.multiplier = {int64_t{1} << 31};
  given.shift = {31};
  CHECK(contains(error_of([&] { make_requantizer(micro.rules("linear"), given); }),
                 "bad_value: multiplier, channel 0: 2147483648; expected 0..2147483647"));
  given.multiplier = {1};
  given.shift = {200};
  CHECK(contains(error_of([&] { make_requantizer(micro.rules("linear"), given); }),
                 "bad_value: shift, channel 0: 200"));
}

TEST_CASE("lower: an error in a graph names the node and the profile") {
  IntGraph graph;
  graph.tensors.resize(2);
  graph.tensors[0].name = "x";
  graph.tensors[0].shape = Shape{1, 4, 4, 2};
  graph.tensors[0].qparams = qparams_of(0.5f, 0);
  graph.tensors[1] = graph.tensors[0];
  graph.tensors[1].name = "y";
  graph.tensors[1].shape = Shape{1, 2, 2, 2};
  graph.tensors[1].qparams = qparams_of(0.25f, 0);
  IntNode node;
  node.name = "pool";
  node.op = "max_pool2d";
  node.inputs = {0};
  node.output = 1;
  node.attributes.window.kernel = {2, 2};
  node.attributes.window.stride = {2, 2};
  CHECK(
      contains(error_of([&] { lower_node(graph, node, shipped_profile("tflite-micro")); }),
               "unsupported: node \"pool\" (max_pool2d, profile tflite-micro): input and output"));
}

/// Two linear layers that halve (1 * 0.5), the second under ONNX Runtime's rules.
IntGraph two_profiles() {
  IntGraph graph;
  graph.name = "net";
  const auto tensor = [&](const char* name, Shape shape, quant::QParams q) {
    IntTensor t;
    t.name = name;
    t.shape = std::move(shape);
    t.dtype = q.type.storage();
    t.qparams = std::move(q);
    graph.tensors.push_back(std::move(t));
  };
  tensor("x", Shape{1, 1}, qparams_of(0.5f, 0));
  tensor("w1", Shape{1, 1}, qparams_of(0.5f, 0));
  tensor("y", Shape{1, 1}, qparams_of(0.5f, 0));
  tensor("w2", Shape{1, 1}, qparams_of(0.5f, 0));
  tensor("z", Shape{1, 1}, qparams_of(0.5f, 0));
  for (const size_t w : {1, 3}) {
    graph.tensors[w].data = Tensor(DType::int8, Shape{1, 1});
    graph.tensors[w].data->set_int(0, 1);
  }
  const auto linear = [&](const char* name, int input, const char* profile) {
    IntNode node;
    node.name = name;
    node.op = "linear";
    node.inputs = {input, input + 1};
    node.output = input + 2;
    node.profile = profile;
    graph.nodes.push_back(std::move(node));
  };
  linear("first", 0, "");
  linear("second", 2, "onnxruntime-cpu");
  graph.inputs = {0};
  graph.outputs = {2, 4};
  return graph;
}

TEST_CASE("lower: a node may name another profile") {
  const IntGraph graph = two_profiles();
  const Profile micro = shipped_profile("tflite-micro");
  const Profile ort = shipped_profile("onnxruntime-cpu");
  std::vector<std::string> asked;
  const auto resolve = [&](std::string_view name) -> const Profile& {
    asked.emplace_back(name);
    return ort;
  };
  Tensor x(DType::int8, Shape{1, 1});
  const auto codes = [&](const sim::Graph& lowered, int64_t code) {
    x.set_int(0, code);
    const sim::RunResult result = sim::Executor(lowered, {}).run({x.clone()});
    return std::vector<int64_t>{result.outputs[0].int_at(0), result.outputs[1].int_at(0)};
  };
  // 1 / 2: away from zero 1; then 1 / 2 to the even 0.
  CHECK(codes(lower(graph, micro, resolve), 1) == std::vector<int64_t>{1, 0});
  CHECK(asked == std::vector<std::string>{"onnxruntime-cpu"});
  // The network's own profile is not looked up, so that --set holds for its nodes.
  CHECK(codes(lower(graph, ort, resolve), 1) == std::vector<int64_t>{0, 0});
  CHECK(asked.size() == 1);
  CHECK(contains(error_of([&] { lower(graph, micro); }),
                 "unsupported: network \"net\": a node of profile \"onnxruntime-cpu\""));
}

}  // namespace
}  // namespace facsim::backends
