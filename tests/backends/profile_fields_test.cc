// SPDX-License-Identifier: Apache-2.0
// Every field of a profile's rules changes a number: the numbers of the authoring guide.
#include <doctest/doctest.h>

#include <cmath>

#include "backends/lower/lower.h"
#include "backends/profile/profile.h"
#include "sim/core/error.h"
#include "sim/ops/conv2d.h"

namespace facsim::backends {
namespace {

using Overrides = std::vector<ProfileOverride>;

OpRules rules_with(const Overrides& overrides, std::string_view op = "conv2d",
                   std::string_view profile = "tflite-reference") {
  return load_profile(profile, ProfileSearch::standard(), overrides).rules(op);
}

Overrides operator+(Overrides a, const Overrides& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Output codes of 16 bits and one rounding, so that nothing else is in the way.
const Overrides kWide = {{"/output/bits", "16"},
                         {"/requantize/left_shift/position", "in_total_shift"},
                         {"/requantize/rounding", "half_even"}};
const Overrides kFloat = {{"/output/bits", "16"},
                          {"/requantize/domain", "float32"},
                          {"/requantize/rounding", "half_even"}};

struct TestLayer {
  float input_scale = 1, weight_scale = 1, output_scale = 1;
  int64_t zero_point = 0;
  Activation activation = Activation::none;
  float bias = 0;  ///< float32, real
};

int64_t code_of(const OpRules& rules, int64_t acc, const TestLayer& layer) {
  LinearScales scales;
  scales.input_scale = layer.input_scale;
  scales.weight_scale = {layer.weight_scale};
  scales.output.scale = {layer.output_scale};
  scales.output.zero_point = {layer.zero_point};
  scales.output.type = rules.output_types.front();
  scales.output.quant_min = scales.output.type.min();
  scales.output.quant_max = scales.output.type.max();
  scales.activation = layer.activation;
  LayerBias bias;
  if (rules.bias.kind == BiasSpec::Kind::float32) {
    bias.codes = Tensor::from<float>(Shape{1}, std::vector<float>{layer.bias});
    const Tensor loaded = accumulator_bias(rules, bias, layer.input_scale, scales.weight_scale);
    if (!loaded.empty()) acc += loaded.int_at(0);
  }
  sim::Events events;
  return make_requantizer(rules, scales, bias).apply(acc, 0, events);
}

TEST_CASE("profile fields: the requantizer's input width and shift") {
  const TestLayer layer{.output_scale = 1024};
  CHECK(code_of(rules_with(kWide), 70000, layer) == 68);  // 68.36
  CHECK(code_of(rules_with(kWide + Overrides{{"/requantize/input/bits", "17"}}), 70000, layer) ==
        64);  // 65535 / 1024
  CHECK(code_of(rules_with(kWide + Overrides{{"/requantize/input/bits", "17"},
                                             {"/requantize/input/overflow", "wrap"}}),
                70000, layer) == -60);  // -61072 / 1024 = -59.6
  const TestLayer sixteenth{.output_scale = 16};
  CHECK(code_of(rules_with(kWide + Overrides{{"/requantize/rounding", "toward_zero"}}), 24,
                sixteenth) == 1);
  CHECK(code_of(rules_with(kWide + Overrides{{"/requantize/rounding", "toward_zero"},
                                             {"/requantize/input/shift", "4"}}),
                24, sixteenth) == 2);  // 24 / 16 = 1.5, half_away_from_zero
}

TEST_CASE("profile fields: a saturating left shift, intermediate width, several stages") {
  const TestLayer times16{.output_scale = 1.0f / 16};
  const int64_t acc = (int64_t{1} << 27) + 1;  // real 16 is 2^5 * 0.5
  const Overrides wide = {{"/output/bits", "40"}};
  CHECK(code_of(rules_with(wide), acc, times16) == 16);  // (2^27 + 1) * 2^5 wraps to 32
  CHECK(code_of(rules_with(wide + Overrides{{"/requantize/left_shift/overflow", "saturate"}}), acc,
                times16) == 1073741824);
  const TestLayer one;
  CHECK(code_of(rules_with(kWide + Overrides{{"/requantize/intermediate_bits", "12"}}), 2050,
                one) == -2046);
  // 22 >> 2 >> 2 = 2 with half_away_from_zero twice, 22 >> 4 = 1.
  const Overrides twice = {
      {"/requantize/rounding",
       R"([{"shift": 17, "mode": "half_away_from_zero"}, {"shift": "rest", "mode": "half_away_from_zero"}])"},
      {"/requantize/multiplier/bits", "17"}};
  const TestLayer sixteenth{.output_scale = 16};
  CHECK(code_of(rules_with(kWide + twice), 22, sixteenth) == 2);
  CHECK(code_of(rules_with(kWide + Overrides{{"/requantize/rounding", "half_away_from_zero"}}), 22,
                sixteenth) == 1);
}

TEST_CASE("profile fields: derivations of the multiplier reach the result") {
  const Overrides wide = kWide + Overrides{{"/output/bits", "32"}};
  const TestLayer layer{.input_scale = 0.3f};
  const auto with = [&](const Overrides& more) {
    return code_of(rules_with(wide + more), 1000000, layer);
  };
  CHECK(with({}) == 300000);
  CHECK(with({{"/requantize/multiplier/bits", "16"}}) == 300003);  // 19661 / 65536
  CHECK(with({{"/requantize/multiplier/bits", "16"},
              {"/requantize/multiplier/fraction_bits", "12"}}) == 300049);  // 2458 / 8192
  CHECK(with({{"/requantize/multiplier/bits", "16"},
              {"/requantize/multiplier/derivation", "truncate"}}) == 299988);  // 19660 / 65536
  CHECK(with({{"/requantize/multiplier/bits", "16"},
              {"/requantize/multiplier/fraction_bits", "12"},
              {"/requantize/multiplier/derivation", "fixed_fraction"}}) == 300049);  // 1229 / 4096
  CHECK(with({{"/requantize/multiplier/bits", "8"},
              {"/requantize/multiplier/derivation", "search_min_error"}}) == 300781);  // 77 / 256
  CHECK(with({{"/requantize/multiplier/derivation", "float32_mantissa"},
              {"/requantize/multiplier/bits", "25"}}) == 300000);
}

TEST_CASE("profile fields: a 24-bit multiplier, a 16-bit one, a float32 product, a reciprocal") {
  const Overrides half_up = kWide + Overrides{{"/requantize/rounding", "half_up"}};
  GivenMultiplier given;
  given.output = {32, true};
  given.clamp = {given.output.min(), given.output.max()};
  sim::Events events;
  // A 31-bit multiplier from float64 and a 24-bit one from float32.
  const auto derived = [&](const char* derivation) {
    const OpRules rules =
        rules_with(half_up + Overrides{{"/requantize/multiplier/derivation", derivation}});
    const quant::Multiplier m = quant::derive_multiplier(0.0028466506236195194, rules.multiplier);
    given.multiplier = {m.multiplier};
    given.shift = {m.shift};
    return make_requantizer(rules, given).apply(-40574, 0, events);
  };
  CHECK(derived("frexp_round") == -116);
  CHECK(derived("float32_mantissa") == -115);
  // TFLite's 16x8: acc 178837022, multiplier 1134312299, exponent -14.
  given.multiplier = {1134312299};
  given.shift = {31 + 14};
  CHECK(make_requantizer(rules_with(half_up), given).apply(178837022, 0, events) == 5766);
  CHECK(make_requantizer(
            rules_with(half_up + Overrides{{"/requantize/multiplier/reduce_to_bits", "16"}}), given)
            .apply(178837022, 0, events) == 5765);
  // The product of the scales in float32 and in float64.
  const TestLayer product{.input_scale = 0.008867641910910606f,
                          .weight_scale = 0.0011110034538432956f,
                          .output_scale = 0.16957353055477142f};
  const Overrides wide = {{"/output/bits", "16"}};
  CHECK(code_of(rules_with(wide), -1712606, product) == -100);
  CHECK(code_of(rules_with(wide + Overrides{{"/requantize/multiplier/scale_product",
                                             "float32_then_float64"}}),
                -1712606, product) == -99);
  const TestLayer quotient{.input_scale = 0.273939937f, .output_scale = 0.00214854861f};
  const Overrides combined =
      kFloat + Overrides{{"/requantize/multiplier/scale_product", "float32"}};
  CHECK(code_of(rules_with(combined), 1, quotient) == 127);
  CHECK(code_of(rules_with(combined + Overrides{{"/requantize/multiplier/formula", "reciprocal"}}),
                1, quotient) == 128);
}

TEST_CASE("profile fields: places of the zero point") {
  const TestLayer layer{.output_scale = 4, .zero_point = 127};
  CHECK(code_of(rules_with(kFloat), -2, layer) == 127);
  CHECK(code_of(rules_with(kFloat + Overrides{{"/zero_point_add", "before_rounding"}}), -2,
                layer) == 126);
  CHECK(code_of(rules_with(kWide), -2, layer) == 127);
  CHECK(code_of(rules_with(kWide + Overrides{{"/zero_point_add", "folded_before_scale"}}), -2,
                layer) == 126);  // (-2 + 508) / 4 = 126.5
}

TEST_CASE("profile fields: a fused activation on codes, on the accumulator, on the float value") {
  const TestLayer layer{.input_scale = 0.7f, .output_scale = 0.5f, .activation = Activation::relu6};
  CHECK(code_of(rules_with(kWide), 20, layer) == 12);
  CHECK(code_of(rules_with(kWide + Overrides{{"/activation_order", "integer_before_requant"}}), 20,
                layer) == 13);  // min(20, 9) * 1.4 = 12.6
  const TestLayer coarse{.output_scale = 0.7f, .activation = Activation::relu6};
  const Overrides floors = kFloat + Overrides{{"/requantize/rounding", "floor"}};
  CHECK(code_of(rules_with(floors), 100, coarse) == 9);  // round(6 / 0.7)
  CHECK(code_of(rules_with(floors + Overrides{{"/activation_order", "float_before_requant"}}), 100,
                coarse) == 8);  // floor(8.57)
  CHECK(code_of(rules_with(floors + Overrides{{"/activation_order", "float_before_requant"}}), -100,
                coarse) == 0);
  CHECK(code_of(rules_with(floors + Overrides{{"/activation_order", "float_before_requant"}}), -7,
                {.output_scale = 0.7f}) == -10);
  // A 17-bit requantizer that wraps, ReLU behind it or in front of it.
  const Overrides wraps = kWide + Overrides{{"/requantize/intermediate_bits", "12"}};
  const TestLayer relu{.activation = Activation::relu};
  CHECK(code_of(rules_with(wraps), -3000, relu) == 1096);
  CHECK(code_of(rules_with(wraps + Overrides{{"/activation_order", "integer_before_requant"}}),
                -3000, relu) == 0);
}

TEST_CASE("profile fields: the float epilogues") {
  const Overrides two_factors =
      kFloat + Overrides{{"/requantize/float/scale_factors", "input_weight_then_output"}};
  const TestLayer quotient{.input_scale = 0.273939937f, .output_scale = 0.00214854861f};
  CHECK(code_of(rules_with(two_factors), 1, quotient) == 127);
  CHECK(code_of(rules_with(two_factors + Overrides{{"/requantize/float/reciprocal", "true"}}), 1,
                quotient) == 128);

  // ncnn's epilogue: a float32 bias after the scale, or rounded to the accumulator's unit.
  const Overrides real_bias = two_factors + Overrides{{"/tensors/bias/kind", "float32"}};
  const TestLayer ncnn{
      .input_scale = 0.006773187f, .output_scale = 1 / 6.5063744f, .bias = 1.6153165f};
  CHECK(code_of(rules_with(real_bias), -159, ncnn) == 4);
  CHECK(code_of(rules_with(real_bias + Overrides{{"/requantize/float/bias_add", "integer_before"}}),
                -159, ncnn) == 3);
  CHECK(code_of(rules_with(kWide + Overrides{{"/tensors/bias/kind", "float32"},
                                             {"/requantize/float/bias_add", "integer_before"}}),
                -159, ncnn) == 3);

  const TestLayer tiny{.input_scale = 0.1f, .output_scale = 1e-8f, .bias = -1};
  CHECK(code_of(rules_with(real_bias), 10, tiny) == 0);
  CHECK(code_of(rules_with(real_bias + Overrides{{"/requantize/float/fma", "true"}}), 10, tiny) ==
        1);  // 1.49

  const TestLayer below_half{.input_scale = 0.49999997f};
  const Overrides away = kFloat + Overrides{{"/requantize/rounding", "half_away_from_zero"}};
  CHECK(code_of(rules_with(away), 1, below_half) == 0);
  CHECK(code_of(rules_with(away + Overrides{{"/requantize/float/round_impl", "add_half_truncate"}}),
                1, below_half) == 1);

  const TestLayer huge{.input_scale = 0x1p40f};
  CHECK(code_of(rules_with(kFloat), 1 << 30, huge) == 32767);
  CHECK_THROWS_AS(
      code_of(rules_with(kFloat + Overrides{{"/requantize/float/clamp", "after_round"}}), 1 << 30,
              huge),
      Error);
  CHECK(code_of(rules_with(kFloat + Overrides{{"/requantize/float/clamp", "after_round"}}), 1,
                huge) == 32767);

  const TestLayer sixteen_millionth{.output_scale = 0x1p24f};
  CHECK(code_of(rules_with(kFloat), -192937983, sixteen_millionth) == -12);  // -11.4999999
  CHECK(code_of(rules_with(kFloat + Overrides{{"/requantize/domain", "float64"}}), -192937983,
                sixteen_millionth) == -11);
}

TEST_CASE("profile fields: the output's type") {
  const TestLayer one;
  const Overrides one_rounding = {{"/requantize/rounding", "half_up"}};
  CHECK(code_of(rules_with(one_rounding), -300, one) == -128);
  CHECK(code_of(rules_with(one_rounding + Overrides{{"/output/narrow_range", "true"}}), -300,
                one) == -127);
  CHECK(code_of(rules_with(one_rounding + Overrides{{"/tensors/activation/narrow_range", "true"}}),
                -300, one) == -127);
  CHECK(code_of(rules_with(one_rounding + Overrides{{"/output/bits", "16"}}), -300, one) == -300);
  CHECK(code_of(rules_with(one_rounding + Overrides{{"/output/signed", "false"}}), 200, one) ==
        200);
}

TEST_CASE("profile fields: what a bias becomes") {
  const std::vector<float> unit = {0.25f};
  const auto stored = [&](const OpRules& rules, double real) {
    const std::vector<double> bias = {real};
    return quantize_bias(rules, bias, 0.5f, unit);
  };
  CHECK(stored(rules_with({}), 0.0625).codes.int_at(0) == 1);  // 0.5 steps
  CHECK(stored(rules_with({{"/tensors/bias/rounding", "half_even"}}), 0.0625).codes.int_at(0) == 0);
  const Overrides eight = {{"/tensors/bias/bits", "8"}};
  const double steps300 = 300 * 0.125;
  CHECK(stored(rules_with(eight), steps300).codes.int_at(0) == 127);
  CHECK(stored(rules_with(eight + Overrides{{"/tensors/bias/overflow", "wrap"}}), steps300)
            .codes.int_at(0) == 44);
  CHECK_THROWS_AS(
      stored(rules_with(eight + Overrides{{"/tensors/bias/overflow", "error"}}), steps300), Error);
  // A scale of its own: 1.1 in steps of 1.1 / 127, then 8.8 accumulator units.
  const OpRules own = rules_with(eight + Overrides{{"/tensors/bias/scale", "own"}});
  const LayerBias bias = stored(own, 1.1);
  CHECK(bias.codes.int_at(0) == 127);
  CHECK(accumulator_bias(own, bias, 0.5f, unit).int_at(0) == 9);
  // QNNPACK: stored as float32, rounded when the layer is loaded.
  const OpRules loaded = rules_with({{"/tensors/bias/kind", "float32"},
                                     {"/tensors/bias/rounding", "half_even"},
                                     {"/requantize/float/bias_add", "integer_before"}});
  CHECK(stored(loaded, 0.0625).codes.dtype() == DType::float32);
  CHECK(accumulator_bias(loaded, stored(loaded, 0.0625), 0.5f, unit).int_at(0) == 0);
  CHECK(accumulator_bias(loaded, stored(loaded, 0.1875), 0.5f, unit).int_at(0) == 2);
}

/// A 1 x 2 image through a 1 x 2 window of weights, no scaling; `pad` taps on the right.
int64_t convolved(const Overrides& overrides, std::vector<uint8_t> x, std::vector<int8_t> w,
                  int64_t pad = 0) {
  const Profile profile =
      load_profile("tflite-reference", ProfileSearch::standard(),
                   Overrides{{"/tensors/activation/signed", "false"},
                             {"/output/bits", "32"},
                             {"/output/signed", "true"},
                             {"/requantize/left_shift/position", "in_total_shift"},
                             {"/requantize/rounding", "half_up"}} +
                       overrides);
  quant::QParams input, weights, output;
  input.type = sim::kUint8;
  input.quant_min = 0;
  input.quant_max = 255;
  weights.scale = {1};
  output.type = profile.rules("conv2d").output_types.front();
  output.quant_min = output.type.min();
  output.quant_max = output.type.max();
  sim::Window2d window;
  window.kernel = {1, static_cast<int64_t>(w.size())};
  window.padding.right = pad;
  const auto taps = static_cast<int64_t>(w.size());
  const auto width = static_cast<int64_t>(x.size());
  const Tensor image = Tensor::from<uint8_t>(Shape{1, 1, width, 1}, x);
  const sim::Conv2d conv(lower_conv2d(profile, window, 1, input,
                                      Tensor::from<int8_t>(Shape{1, 1, taps, 1}, w), weights, {},
                                      output, Activation::none));
  const std::vector<Shape> shapes = {image.shape()};
  Tensor out(conv.output_dtype(), conv.output_shape(shapes));
  const std::vector<const Tensor*> inputs = {&image};
  conv.run(inputs, out, {});
  return out.int_at(0);
}

TEST_CASE("profile fields: how products are summed") {
  const std::vector<uint8_t> x = {255, 255};
  const std::vector<int8_t> w = {127, 127};
  CHECK(convolved({}, x, w) == 64770);
  CHECK(convolved({{"/accumulator/block", R"({"taps": 2, "bits": 16})"}}, x, w) == 32767);
  CHECK(convolved({{"/accumulator/block", R"({"taps": 2, "bits": 16, "overflow": "wrap"})"}}, x,
                  w) == 64770 - 65536);
  CHECK(convolved({{"/accumulator/block", R"({"taps": 1, "bits": 16})"}}, x, w) == 64770);
  CHECK(convolved({{"/accumulator/block", R"({"taps": 1, "bits": 16, "spill_every": 2})"}}, x, w) ==
        32767);
  CHECK(convolved({{"/accumulator/term", R"({"shift": 3})"}}, {13, 13}, {5, 5}) ==
        128);  // 2 * (65 >> 3) steps of 8
  CHECK(convolved({{"/accumulator/term", R"({"shift": 3, "rounding": "ceil"})"}}, {13, 13},
                  {5, 5}) == 144);
  CHECK(convolved({{"/accumulator/term", R"({"bits": 8, "overflow": "saturate"})"}}, {13, 50},
                  {5, 5}) == 65 + 127);
}

TEST_CASE("profile fields: the code of padded taps") {
  const std::vector<uint8_t> x = {10};
  const std::vector<int8_t> w = {1, 3};
  CHECK(convolved({}, x, w, 1) == 10);
  CHECK(convolved({{"/padding/value", "explicit"}, {"/padding/code", "7"}}, x, w, 1) == 31);
  const auto pooled = [](const Overrides& overrides) {
    const Profile profile = load_profile("tflite-reference", ProfileSearch::standard(), overrides);
    quant::QParams codes;
    sim::Window2d window;
    window.kernel = {1, 4};
    window.padding.right = 2;
    const auto op =
        lower_avg_pool2d(profile, window, false, false, codes, codes, Activation::none, 1, 2);
    const Tensor image = Tensor::from<int8_t>(Shape{1, 1, 2, 1}, std::vector<int8_t>{4, 8});
    const std::vector<Shape> shapes = {image.shape()};
    Tensor out(DType::int8, op->output_shape(shapes));
    const std::vector<const Tensor*> inputs = {&image};
    op->run(inputs, out, {});
    return out.int_at(0);
  };
  CHECK(pooled({}) == 6);
  CHECK(pooled({{"/padding/counts_in_sums", "true"}}) == 3);
}

TEST_CASE("profile fields: what no step program is needs a named algorithm") {
  const auto refused = [](const Overrides& overrides) {
    try {
      code_of(rules_with(overrides), 1, {});
    } catch (const Error& e) {
      CAPTURE(e.what());
      CHECK(e.infos().front().code == ErrorCode::unsupported);
      return true;
    }
    return false;
  };
  CHECK(!refused({}));
  CHECK(refused({{"/requantize/domain", "threshold"}}));
  CHECK(refused({{"/requantize/domain", "lut"}}));
  CHECK(refused({{"/tensors/activation/scheme", "log2_16"}}));
  CHECK(refused({{"/tensors/weight/scheme", "threshold"}}));
}

TEST_CASE(
    "profile fields: tensors may be symmetric around the middle, scales nearest powers of two") {
  const OpRules rules = rules_with({{"/tensors/activation/zero_point", "middle"},
                                    {"/tensors/activation/scale", "nearest_power_of_two"}});
  CHECK(rules.activation.zero_point == quant::TensorSpec::ZeroPoint::middle);
  CHECK(rules.activation.scale == quant::TensorSpec::Scale::nearest_power_of_two);
}

}  // namespace
}  // namespace facsim::backends
