// SPDX-License-Identifier: Apache-2.0
// Pitfalls of requantization and of the numbers it takes, by profiles where one does it, else by
// step programs. Each case shows what both sides compute.
#include <bit>
#include <cmath>

#include "quant/multiplier.h"
#include "sim/kernels/requantize.h"
#include "sim/ops/k210_activation.h"
#include "sim/requantize/platform_programs.h"
#include "tests/pitfalls/pitfalls.h"

namespace facsim::pitfalls {
namespace {

using quant::MultiplierSpec;
using sim::kInt16;
using sim::kInt32;
using sim::kInt8;
using sim::kUint8;
using sim::Rounding;
using sim::StepKind;

TEST_CASE("pitfall 01: double versus single rounding") {
  const auto layer = given_multiplier(1073774592, 34);  // 7 times it is 0.4375
  CHECK(requantize("tflite-micro", layer, 7) == 1);
  CHECK(requantize("tflite-single-rounding", layer, 7) == 0);
}

TEST_CASE("pitfall 02: a negative tie") {
  const auto quarter = given_multiplier(int64_t{1} << 30, 32);  // -2 times it is -0.5
  CHECK(requantize("tflite-micro", quarter, -2) == -1);
  CHECK(requantize("tflite-single-rounding", quarter, -2) == 0);
  CHECK(evaluate(sim::programs::fixed_point_rounded(kInt8, Rounding::half_even),
                 fixed_point(int64_t{1} << 30, 32, kInt8), -2) == 0);
  CHECK(evaluate(sim::programs::fixed_point_rounded(kInt8, Rounding::half_down),
                 fixed_point(int64_t{1} << 30, 32, kInt8), -2) == -1);
}

TEST_CASE("pitfall 03: the zero point before or after the rounding") {
  CHECK(requantize("xnnpack-x86", given_scale(0.25F, 127), -2) == 127);  // rint(-0.5) + 127
  CHECK(requantize("onednn", given_scale(0.25F, 127), -2) == 126);       // rint(126.5)
  CHECK(requantize("onnx-reference", given_scale(0.5F, 1, kUint8), 1) == 2);
  CHECK(requantize("onnxruntime-cpu", given_scale(0.5F, 1, kUint8), 1) == 1);
}

TEST_CASE("pitfall 04: float32 of the accumulator and of the product") {
  const auto exact = [](int64_t acc) { return evaluate({step(StepKind::shr, 24)}, acc); };
  const auto layer = given_scale(0x1p-24F, 0);
  CHECK(exact(-192937983) == -11);  // -11.4999…
  CHECK(requantize("xnnpack-x86", layer, -192937983) == -12);
  CHECK(exact(-176160769) == -11);  // -10.5000…
  CHECK(requantize("xnnpack-x86", layer, -176160769) == -10);
}

TEST_CASE("pitfall 05: the product of scales in float32 or float64") {
  const auto multiplier = [](MultiplierSpec::ScaleProduct precision) {
    return quant::derive_multiplier(
        quant::real_multiplier(0.008867641910910606F, 0.0011110034538432956F, 0.16957353055477142F,
                               precision),
        MultiplierSpec{});
  };
  const quant::Multiplier wide = multiplier(MultiplierSpec::ScaleProduct::float64);
  const quant::Multiplier narrow = multiplier(MultiplierSpec::ScaleProduct::float32_then_float64);
  CHECK(wide.multiplier == 2044161944);
  CHECK(narrow.multiplier == 2044161862);
  CHECK(wide.shift == narrow.shift);
  const auto code = [](const quant::Multiplier& m) {
    return requantize("tflite-micro", given_multiplier(m.multiplier, m.shift), -1712606);
  };
  CHECK(code(wide) == -100);
  CHECK(code(narrow) == -99);
}

TEST_CASE("pitfall 06: division by a scale or product with its reciprocal") {
  constexpr float kValue = 0.273939937F, kScale = 0.00214854861F;
  CHECK(apply_real({real_step(StepKind::fdiv, kScale), round_step(Rounding::half_even)}, kValue) ==
        127);
  CHECK(apply_real({real_step(StepKind::fmul, 1.0F / kScale), round_step(Rounding::half_even)},
                   kValue) == 128);
}

TEST_CASE("pitfall 07: a multiplier of 31 bits or the 24 bits of a float32") {
  constexpr float kReal = 0.0028466506236195194F;
  const auto code = [](MultiplierSpec::Derivation derivation) {
    MultiplierSpec spec;
    spec.derivation = derivation;
    const quant::Multiplier m = quant::derive_multiplier(0.0028466506236195194, spec);
    return evaluate(sim::programs::fixed_point_single(kInt8),
                    fixed_point(m.multiplier, m.shift, kInt8), -40574);
  };
  CHECK(static_cast<double>(kReal) != 0.0028466506236195194);
  CHECK(code(MultiplierSpec::Derivation::frexp_round) == -116);
  CHECK(code(MultiplierSpec::Derivation::float32_mantissa) == -115);
}

TEST_CASE("pitfall 08: a multiplier reduced to 16 bits") {
  const quant::Multiplier whole{1134312299, 45};
  MultiplierSpec spec;
  spec.reduce_to_bits = 16;
  const quant::Multiplier reduced = quant::reduce_multiplier(whole, spec);
  const auto code = [](const quant::Multiplier& m) {
    return evaluate(sim::programs::fixed_point_single(kInt16),
                    fixed_point(m.multiplier, m.shift, kInt16), 178837022);
  };
  CHECK(code(reduced) == 5765);
  CHECK(code(whole) == 5766);
}

TEST_CASE("pitfall 09: CMSIS-NN narrows int64 accumulators one bit early") {
  MultiplierSpec spec;
  spec.reduce_to_bits = 16;
  const quant::Multiplier m = quant::reduce_multiplier({2147450879, 31 - 1}, spec);  // shift 1
  constexpr int64_t kAcc = 1073741825;
  CHECK(evaluate(sim::programs::fixed_point_single(kInt16),
                 fixed_point(m.multiplier, m.shift, kInt16), kAcc, kInt16) == 32767);
  CHECK(evaluate(sim::programs::fixed_point_int64_narrowing(kInt16),
                 fixed_point(m.multiplier, m.shift - 1, kInt16), kAcc, kInt16) == -32768);
}

TEST_CASE("pitfall 16: how a bias in ties is rounded") {
  const std::vector<double> bias = {0.0625};  // in units of 0.5 * 0.25 half a step
  const std::vector<float> weight_scale = {0.25F};
  const auto code = [&](const char* name) {
    return backends::quantize_bias(profile(name).rules("conv2d"), bias, 0.5F, weight_scale)
        .codes.int_at(0);
  };
  CHECK(code("qnnpack") == 0);       // half even
  CHECK(code("tflite-micro") == 1);  // half away from zero
}

TEST_CASE("pitfall 17: a float bias after the scale, or an integer bias before it") {
  constexpr float kScale = 0.006773187F, kBias = 1.6153165F, kOutput = 6.5063744F;
  CHECK(evaluate({step(StepKind::to_f32), real_step(StepKind::fmul, kScale),
                  real_step(StepKind::fadd, kBias), real_step(StepKind::fmul, kOutput),
                  round_step(Rounding::half_away_from_zero)},
                 -159) == 4);
  const int64_t bias =
      apply_real({real_step(StepKind::fdiv, kScale), round_step(Rounding::half_even)}, kBias);
  CHECK(bias == 238);
  CHECK(evaluate({step(StepKind::add, bias), step(StepKind::to_f32),
                  real_step(StepKind::fmul, kScale * kOutput),
                  round_step(Rounding::half_away_from_zero)},
                 -159) == 3);
}

TEST_CASE("pitfall 20: two float32 products in one order or the other") {
  constexpr float kFirst = 1.0233097e-05F, kSecond = 6.2804651F;
  CHECK(evaluate({step(StepKind::to_f32), real_step(StepKind::fmul, kFirst),
                  real_step(StepKind::fmul, kSecond), round_step(Rounding::half_even)},
                 1128078) == 73);
  CHECK(evaluate({step(StepKind::to_f32), real_step(StepKind::fmul, kFirst * kSecond),
                  round_step(Rounding::half_even)},
                 1128078) == 72);
}

TEST_CASE("pitfall 21: adding a half and truncating is no rounding") {
  constexpr float kBelowHalf = 0.49999997F;
  sim::Step add_half = round_step(Rounding::toward_zero);
  add_half.a = sim::Operand::constant_f32(0.5F);
  CHECK(apply_real({add_half}, kBelowHalf) == 1);
  CHECK(apply_real({round_step(Rounding::half_away_from_zero)}, kBelowHalf) == 0);
}

TEST_CASE("pitfall 22: the K210's shift of negative numbers") {
  CHECK(sim::k210_carry_shift(-5, 2) == -3);            // -1.25
  CHECK(evaluate({step(StepKind::shr, 2)}, -5) == -1);  // half even
  CHECK(sim::k210_carry_shift(5, 2) == 1);
}

TEST_CASE("pitfall 23: an integer multiplier applied in float32") {
  sim::Arguments a;
  a.integers = {{"zero_point", {0}}, {"clamp_min", {-128}}, {"clamp_max", {127}}};
  a.reals = {{"multiplier_f32", {90.0F}}, {"power", {0x1p-29F}}};
  constexpr int64_t kAcc = -348966093;
  CHECK(evaluate(sim::programs::cv18xx_multiplier_shift(kInt8), a, kAcc, kInt8) == -58);
  CHECK(evaluate({step(StepKind::mul, 90), step(StepKind::shr, 29, Rounding::half_up)}, kAcc) ==
        -59);
}

TEST_CASE("pitfall 24: the magic number rounds up to 2^22 only") {
  constexpr float kMagic = 12582912.0F, kLarge = 4194305.5F;
  CHECK(std::bit_cast<int32_t>(kLarge + kMagic) - std::bit_cast<int32_t>(kMagic) == 4194305);
  CHECK(sim::round_real(Rounding::half_even, kLarge) == 4194306.0F);
  // The kernel with the magic number is taken where a clamp in front keeps the value inside.
  const auto form = [](float limit) {
    sim::Arguments a;
    a.integers = {{"zero_point", {0}}};
    a.reals = {{"scale", {0.5F}},
               {"clamp_min_minus_zero_point", {-limit}},
               {"clamp_max_minus_zero_point", {limit}}};
    const sim::Requantizer r(sim::programs::float_zero_point_after(
                                 kInt8, Rounding::half_even, sim::programs::FloatBias::none,
                                 sim::programs::FloatScale::multiply),
                             a, kInt8);
    return std::string(sim::RequantizeKernel(r, INT32_MIN, INT32_MAX).form());
  };
  CHECK(form(127.0F) == "float_half_even");
  CHECK(form(0x1p23F) == "block");
}

TEST_CASE("pitfall 25: a left shift that overflows saturates or wraps") {
  constexpr int64_t kAcc = 536870913, kMultiplier = 0x7FFF0000;
  const sim::Arguments a = fixed_point(kMultiplier, 0, kInt32, 11);
  CHECK(evaluate(sim::programs::fixed_point_double_saturating(kInt32), a, kAcc, kInt32) ==
        2147418111);                                                                    // gemmlowp
  CHECK(evaluate(sim::programs::fixed_point_double(kInt32), a, kAcc, kInt32) == 2048);  // TFLite
}

TEST_CASE("pitfall 26: int32 results that pass through float32") {
  CHECK(evaluate(sim::programs::onednn_s32(sim::programs::OnednnBias::none), {}, 16777217,
                 kInt32) == 16777216);
  CHECK(evaluate({step(StepKind::add, 0)}, 16777217) == 16777217);
}

TEST_CASE("pitfall 27: the lowest code that a platform has") {
  quant::QParams output;
  output.scale = {0.5F};
  const auto lowest = [&](const char* name) {
    return backends::clamp_bounds(profile(name).rules("conv2d"), backends::Activation::none, output)
        .min;
  };
  CHECK(lowest("tflite-micro") == -128);
  CHECK(lowest("ncnn") == -127);
}

TEST_CASE("pitfall 28: \"half up\" of qonnx and of Vivado") {
  sim::Arguments real;
  real.reals = {
      {"scale", {1.0F}}, {"zero_point", {0.0F}}, {"clamp_min", {-8.0F}}, {"clamp_max", {7.0F}}};
  sim::Events events;
  const sim::Requantizer qonnx(sim::programs::qonnx_quant({4, true}, Rounding::half_away_from_zero),
                               real, {4, true});
  CHECK(qonnx.apply_real(-0.5F, 0, events) == -1);  // HALF_UP
  sim::Arguments shift;
  shift.integers = {{"shift", {1}}};
  CHECK(evaluate(sim::programs::ap_fixed_cast({4, true}, Rounding::half_up, sim::Overflow::wrap),
                 shift, -1) == 0);  // AP_RND
}

}  // namespace
}  // namespace facsim::pitfalls
