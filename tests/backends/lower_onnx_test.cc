// SPDX-License-Identifier: Apache-2.0
// Rules of ONNX Runtime, the ONNX evaluator, XNNPACK and QNNPACK, each on values where they differ
// from a neighbour.
#include <doctest/doctest.h>

#include "backends/lower/activations.h"
#include "backends/lower/blocked.h"
#include "backends/lower/lower.h"
#include "backends/lower/unary_real.h"
#include "sim/core/error.h"
#include "tests/backends/lowering.h"

namespace facsim::backends {
namespace {

using test::qparams_of;
using test::shipped_profile;

std::vector<int64_t> run_on(const sim::Op& op, const std::vector<Tensor>& inputs) {
  std::vector<Shape> shapes;
  std::vector<const Tensor*> pointers;
  for (const Tensor& input : inputs) {
    shapes.push_back(input.shape());
    pointers.push_back(&input);
  }
  Tensor output(op.output_dtype(), op.output_shape(shapes));
  op.run(pointers, output, {.isa = sim::Isa::scalar});
  std::vector<int64_t> values;
  for (int64_t i = 0; i < output.numel(); ++i) values.push_back(output.int_at(i));
  return values;
}

Tensor codes_of(sim::IntType type, const Shape& shape, const std::vector<int64_t>& values) {
  Tensor tensor(type.storage(), shape);
  for (size_t i = 0; i < values.size(); ++i) tensor.set_int(static_cast<int64_t>(i), values[i]);
  return tensor;
}

template <class Body>
std::string refusal_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
    return error.what();
  }
  FAIL("no error");
  return {};
}

bool says(const std::string& text, const char* part) {
  CAPTURE(text);
  return text.find(part) != std::string::npos;
}

int64_t layer_code(const OpRules& rules, int64_t acc, float scale, const quant::QParams& output) {
  sim::Events events;
  return make_requantizer(rules, {scale, {1.0f}, output, Activation::none}, {})
      .apply(acc, 0, events);
}

TEST_CASE("lower onnx: the evaluator adds the zero point before it rounds, ONNX Runtime after") {
  const quant::QParams output = qparams_of(1.0f, 1, sim::kUint8);
  CHECK(layer_code(shipped_profile("onnx-reference").rules("conv2d"), 1, 0.5f, output) == 2);
  CHECK(layer_code(shipped_profile("onnxruntime-cpu").rules("conv2d"), 1, 0.5f, output) == 1);
}

TEST_CASE("lower onnx: the evaluator computes in float64, ONNX Runtime in float32") {
  // -192937983 * 2^-24 is -11.49999994; in float32 it is -11.5.
  const quant::QParams output = qparams_of(1.0f, 0);
  CHECK(layer_code(shipped_profile("onnx-reference").rules("linear"), -192937983, 0x1p-24f,
                   output) == -11);
  CHECK(layer_code(shipped_profile("onnxruntime-cpu").rules("linear"), -192937983, 0x1p-24f,
                   output) == -12);
}

TEST_CASE("lower onnx: layers with one weight scale take a per_tensor variant") {
  const Profile arm = shipped_profile("xnnpack-arm");
  const auto codes = [&](const std::vector<float>& weight_scale) {
    quant::QParams weights = qparams_of(0.25f, 0);
    weights.scale = weight_scale;
    weights.zero_point.assign(weight_scale.size(), 0);
    weights.channel_axis = weight_scale.size() > 1 ? 0 : -1;
    const sim::Linear op(lower_linear(arm, qparams_of(1.0f, 0),
                                      codes_of(sim::kInt8, {2, 1}, {1, 1}), weights, {},
                                      qparams_of(1.0f, 0), Activation::none));
    return run_on(op, {codes_of(sim::kInt8, {2, 1}, {2, -6})});
  };
  // 0.5 and -1.5: half_up (rndnu), and half_even in float32 (qc8).
  CHECK(codes({0.25f}) == std::vector<int64_t>{1, 1, -1, -1});
  CHECK(codes({0.25f, 0.25f}) == std::vector<int64_t>{0, 0, -2, -2});
}

TEST_CASE("lower onnx: XNNPACK's rndnu multiplies by 24 bits") {
  // reference/arithmetic.md pitfall 7: 31 bits give -116.
  CHECK(layer_code(shipped_profile("xnnpack-arm").rules("requantize"), -40574,
                   0.0028466506236195194f, qparams_of(1.0f, 0)) == -115);
}

TEST_CASE("lower onnx: QNNPACK's addition rounds ties away from zero, XNNPACK's up") {
  const auto sums = [](const char* profile, sim::IntType type, int64_t zero_point) {
    const quant::QParams in = qparams_of(0.5f, zero_point, type);
    const auto op = lower_add(shipped_profile(profile), in, in, qparams_of(1.0f, zero_point, type),
                              Activation::none);
    const int64_t z = zero_point;
    return run_on(
        *op, {codes_of(type, {1, 3}, {z + 1, z - 1, z - 3}), codes_of(type, {1, 3}, {z, z, z})});
  };
  CHECK(sums("qnnpack", sim::kUint8, 128) == std::vector<int64_t>{129, 127, 126});
  CHECK(sums("xnnpack-x86", sim::kUint8, 128) == std::vector<int64_t>{129, 128, 127});
  // Their smallest ratios differ.
  const quant::QParams fine = qparams_of(0x1p-12f, 128, sim::kUint8);
  const quant::QParams one = qparams_of(1.0f, 128, sim::kUint8);
  lower_add(shipped_profile("qnnpack"), fine, one, one, Activation::none);
  CHECK(says(refusal_of([&] {
               lower_add(shipped_profile("xnnpack-x86"), fine, one, one, Activation::none);
             }),
             "2^-10 <= ratio"));
}

TEST_CASE(
    "lower onnx: QNNPACK rounds float32 biases by a float32 reciprocal when it loads a layer") {
  const Profile profile = shipped_profile("qnnpack");
  // PyTorch 1.13.1 gives 8 and 86, a division in float64 7 and 87.
  LayerBias bias;
  bias.codes = Tensor::from<float>({2}, std::vector<float>{0.0207375009f, 0.239172518f});
  const std::vector<float> weight_scale = {0.079f};
  const OpRules& rules = profile.rules_for("linear", sim::kUint8, DType::float32);
  const Tensor steps = accumulator_bias(rules, bias, 0.035f, weight_scale);
  REQUIRE(steps.dtype() == DType::int32);
  CHECK(steps.int_at(0) == 8);
  CHECK(steps.int_at(1) == 86);
  // The same codes for a layer that is deployed with integers.
  const std::vector<double> reals = {0.0207375009, 0.239172518};
  const LayerBias stored = quantize_bias(profile.rules("linear"), reals, 0.035f, weight_scale);
  CHECK(stored.codes.int_at(0) == 8);
  CHECK(stored.codes.int_at(1) == 86);
  const sim::Linear op(lower_linear(
      profile, qparams_of(0.035f, 0, sim::kUint8), codes_of(sim::kInt8, {2, 1}, {0, 0}),
      qparams_of(0.079f, 0), bias, qparams_of(0.035f * 0.079f, 0, sim::kUint8), Activation::none));
  CHECK(run_on(op, {codes_of(sim::kUint8, {1, 1}, {0})}) == std::vector<int64_t>{8, 86});
}

/// The average of a 1 x n window over a 1 x `width` image, padded on the left by `padding`.
std::vector<int64_t> averages(const char* profile, sim::IntType type, const quant::QParams& in,
                              const quant::QParams& out, int64_t window, int64_t padding,
                              const std::vector<int64_t>& image) {
  sim::Window2d geometry;
  geometry.kernel = {1, window};
  geometry.padding.left = padding;
  const auto width = static_cast<int64_t>(image.size());
  const auto op =
      lower_avg_pool2d(shipped_profile(profile), geometry, /*global=*/false,
                       /*count_include_pad=*/false, in, out, Activation::none, 1, width);
  return run_on(*op, {codes_of(type, {1, 1, width, 1}, image)});
}

TEST_CASE("lower onnx: XNNPACK's unsigned windowed average, as the library of 2022 gave it") {
  const quant::QParams q = qparams_of(0.53f, 62, sim::kUint8);
  const auto run = [&](int64_t padding, const std::vector<int64_t>& image) {
    return averages("xnnpack-x86", sim::kUint8, q, q, 2, padding, image);
  };
  // Ties away from zero: (77 / 2, -25 / 2) around the zero point 62.
  CHECK(run(0, {62 + 77, 62, 62 - 25}) == std::vector<int64_t>{62 + 39, 62 - 13});
  // A window over the whole image follows the global average pool, half to even.
  CHECK(run(0, {62 + 77, 62}) == std::vector<int64_t>{62 + 38});
  CHECK(run(0, {62 - 25, 62}) == std::vector<int64_t>{62 - 12});
  // Padded taps are real 0 and count.
  CHECK(run(1, {62 + 8, 62}) == std::vector<int64_t>{62 + 4, 62 + 4});
}

TEST_CASE("lower onnx: QNNPACK's windowed average rounds to even and counts padded taps") {
  const quant::QParams q = qparams_of(0.5f, 62, sim::kUint8);
  CHECK(averages("qnnpack", sim::kUint8, q, q, 2, 0, {62 + 77, 62, 62 - 25}) ==
        std::vector<int64_t>{62 + 38, 62 - 12});
  CHECK(averages("qnnpack", sim::kUint8, q, q, 2, 1, {62 + 8, 62}) ==
        std::vector<int64_t>{62 + 4, 62 + 4});
}

TEST_CASE("lower onnx: signed windows stay with TFLite's builtin kernel, half away from zero") {
  const quant::QParams q = qparams_of(0.5f, 3);
  CHECK(averages("xnnpack-x86", sim::kInt8, q, q, 2, 0, {-5, 0, 3}) == std::vector<int64_t>{-3, 2});
  // Padded taps do not count.
  CHECK(averages("xnnpack-x86", sim::kInt8, q, q, 2, 1, {8, 1}) == std::vector<int64_t>{8, 5});
  const quant::QParams unsigned_q = qparams_of(0.5f, 3, sim::kUint8);
  CHECK(says(refusal_of([&] {
               averages("xnnpack-arm", sim::kUint8, unsigned_q, unsigned_q, 2, 0, {1, 2, 3});
             }),
             "uint8"));
}

TEST_CASE("lower onnx: the global average on Arm is rndnu") {
  const auto global = [](const char* profile, const std::vector<int64_t>& image) {
    const quant::QParams q = qparams_of(0.5f, 0);
    const auto width = static_cast<int64_t>(image.size());
    const auto op = lower_avg_pool2d(shipped_profile(profile), {}, /*global=*/true, false, q, q,
                                     Activation::none, 1, width);
    return run_on(*op, {codes_of(sim::kInt8, {1, 1, width, 1}, image)}).front();
  };
  CHECK(global("xnnpack-arm", {1, 0}) == 1);    // 0.5 up
  CHECK(global("xnnpack-x86", {1, 0}) == 0);    // 0.5 to even
  CHECK(global("xnnpack-arm", {-3, 0}) == -1);  // -1.5 up
  CHECK(global("xnnpack-x86", {-3, 0}) == -2);  // -1.5 to even
}

TEST_CASE("lower onnx: XNNPACK's leaky_relu of 8-bit multipliers and its table of 2022") {
  const Profile profile = shipped_profile("xnnpack-x86");
  const quant::QParams q = qparams_of(1.0f, 0);
  const Tensor codes = codes_of(sim::kInt8, {1, 5}, {-128, -15, -5, 0, 100});
  // q8: m = half_even(25.6) = 26, (26 q + 128) >> 8; table: 0.1 q rounded half to even.
  CHECK(run_on(*lower_leaky_relu(profile, q, q, 0.1f), {codes}) ==
        std::vector<int64_t>{-13, -2, -1, 0, 100});
  const auto table =
      lower_unary_real(profile.rules("leaky_relu ae108ef"), "leaky_relu", q, q, 0.1f);
  CHECK(run_on(*table, {codes}) == std::vector<int64_t>{-13, -2, 0, 0, 100});
  const auto refused = [&](float input_scale, float alpha) {
    return refusal_of([&] { lower_leaky_relu(profile, qparams_of(input_scale, 0), q, alpha); });
  };
  CHECK(says(refused(0x1p8f, 0.1f), "2^-8 <= ratio <= 2^7"));
  CHECK(says(refused(0x1p-9f, 1.0f), "2^-8 <= ratio <= 2^7"));
  CHECK(says(refused(1.0f, 0.0f), "at least 2^-8 from 0"));
  CHECK(says(refused(1.0f, 200.0f), "at least 2^-8 from 0"));
}

TEST_CASE(
    "lower onnx: XNNPACK fixes the output scales of sigmoid and tanh, ONNX Runtime does not") {
  const Profile xnnpack = shipped_profile("xnnpack-x86");
  const quant::QParams in = qparams_of(0.05f, 0);
  CHECK(says(refusal_of([&] { lower_sigmoid(xnnpack, "sigmoid", in, qparams_of(0.01f, -128)); }),
             "0.00390625 and -128"));
  CHECK(says(refusal_of([&] { lower_sigmoid(xnnpack, "tanh", in, qparams_of(0x1p-7f, 1)); }),
             "0.0078125 and 0"));
  const quant::QParams unsigned_in = qparams_of(0.05f, 128, sim::kUint8);
  const Tensor zero = codes_of(sim::kUint8, {1, 1}, {128});
  CHECK(run_on(*lower_sigmoid(xnnpack, "tanh", unsigned_in, qparams_of(0x1p-7f, 128, sim::kUint8)),
               {zero}) == std::vector<int64_t>{128});
  // sigmoid(0) = 0.5 = 50 steps of 0.01.
  CHECK(run_on(*lower_sigmoid(shipped_profile("onnxruntime-cpu"), "sigmoid", unsigned_in,
                              qparams_of(0.01f, 7, sim::kUint8)),
               {zero}) == std::vector<int64_t>{57});
}

TEST_CASE("lower onnx: blocked quantization by the quantize rules") {
  const Profile profile = shipped_profile("onnxruntime-cpu");
  quant::QParams q = qparams_of(1.0f, 0, {4, true});
  q.scale = {1.0f, 2.0f};
  q.zero_point = {0, 1};
  q.channel_axis = 1;
  const ScaleBlocks blocks{Shape{1, 2}, 1, 2};
  const auto quantize = lower_quantize_blocked(profile, q, blocks);
  const Tensor x = Tensor::from<float>({1, 4}, std::vector<float>{0.5f, 9.0f, -3.0f, 1.0f});
  // 0.5 -> 0, 9 -> 7 (int4), -1.5 -> -2 + 1, 0.5 -> 0 + 1.
  CHECK(run_on(*quantize, {x}) == std::vector<int64_t>{0, 7, -1, 1});
  const auto dequantize = lower_dequantize_blocked(profile, q, blocks);
  const Tensor codes = codes_of(sim::kInt8, {1, 4}, {0, 7, -1, 1});
  Tensor reals(DType::float32, {1, 4});
  const std::vector<const Tensor*> inputs = {&codes};
  dequantize->run(inputs, reals, {});
  const float expected[] = {0, 7, -4, 0};
  for (int64_t i = 0; i < 4; ++i) CHECK(reals.data<float>()[i] == expected[i]);
  CHECK(says(refusal_of([&] { lower_quantize_blocked(shipped_profile("xnnpack-x86"), q, blocks); }),
             "int4"));
}

}  // namespace
}  // namespace facsim::backends
