// SPDX-License-Identifier: Apache-2.0
// Pitfalls of accumulators, pools, additions and the order of a layer's parts. Each case shows what
// both sides compute.
#include <algorithm>
#include <cmath>

#include "sim/ops/add_fma.h"
#include "sim/ops/linear.h"
#include "sim/requantize/platform_programs.h"
#include "tests/pitfalls/pitfalls.h"
#include "tests/sim/ops/op_tester.h"

namespace facsim::pitfalls {
namespace {

using sim::Accumulator;
using sim::kInt16;
using sim::kInt32;
using sim::kInt8;
using sim::kUint8;
using sim::Overflow;
using sim::Rounding;
using sim::StepKind;

/// A layer of one output whose taps all hold `x` and `weights`; its accumulator in `bits` bits.
struct Layer {
  sim::LinearParams params;
  Tensor input;

  Layer(sim::IntType input_type, const std::vector<int64_t>& x, const std::vector<int64_t>& weights)
      : input(input_type.storage(), {1, static_cast<int64_t>(x.size())}) {
    params.input_type = input_type;
    params.weights = Tensor(DType::int8, {1, static_cast<int64_t>(weights.size())});
    for (size_t i = 0; i < x.size(); ++i) {
      input.set_int(static_cast<int64_t>(i), x[i]);
      params.weights.set_int(static_cast<int64_t>(i), weights[i]);
    }
    params.accumulator.order = Accumulator::Order::sequential;
    params.requantize = sim::Requantizer({}, {}, kInt64);
  }

  void set_bias(int64_t value) {
    params.bias = Tensor(DType::int64, {1});
    params.bias.set_int(0, value);
  }
  int64_t run() const {
    return sim::test::run(sim::Linear(params), {&input}, {sim::Isa::scalar, nullptr, false})
        .int_at(0);
  }
};

TEST_CASE("pitfall 10: a 32-bit sum in front of a 64-bit bias") {
  const std::vector<int64_t> x(2048, 32767), w(2048, 127);
  Layer layer(kInt16, x, w);
  layer.set_bias(0);
  layer.params.accumulator.bits = 64;
  CHECK(layer.run() == 8522565632);
  // Multiplier 2^30 reduced to 16 bits, exponent -18.
  layer.params.requantize = sim::Requantizer(sim::programs::fixed_point_single(kInt16),
                                             fixed_point(16384, 33, kInt16), kInt16);
  CHECK(layer.run() == 16256);  // TFLite Micro
  layer.params.accumulator.block =
      Accumulator::Block{Accumulator::Block::kAllTaps, 32, Overflow::wrap};
  layer.params.requantize = sim::Requantizer(sim::programs::fixed_point_int64_narrowing(kInt16),
                                             fixed_point(16384, 32, kInt16), kInt16);
  CHECK(layer.run() == -128);  // CMSIS-NN arm_convolve_s16
}

TEST_CASE("pitfall 11: the division of an average pool") {
  const auto divided = [](int64_t sum, int64_t count, Rounding rounding) {
    return evaluate({step(StepKind::div, count, rounding)}, sum);
  };
  const auto by_reciprocal = [](int64_t sum, float count) {  // oneDNN
    return evaluate({step(StepKind::to_f32), real_step(StepKind::fmul, 1.0F / count),
                     round_step(Rounding::half_even)},
                    sum);
  };
  CHECK(divided(-5, 2, Rounding::half_away_from_zero) == -3);  // TFLite Micro
  CHECK(divided(-5, 2, Rounding::half_even) == -2);
  CHECK(by_reciprocal(-3, 2) == -2);
  CHECK(divided(-3, 2, Rounding::half_up) == -1);
  CHECK(by_reciprocal(350, 28) == 13);
  CHECK(divided(350, 28, Rounding::half_even) == 12);
  // TOSA's reciprocal with half up is TFLite's division, ties included (all sums: tests/proof).
  const std::vector<sim::Step> steps = {step(StepKind::mul, 1073741825),
                                        step(StepKind::shr, 31, Rounding::half_up)};
  CHECK(evaluate(steps, -5) == -3);
}

TEST_CASE("pitfall 12: padding with 0 instead of the zero point") {
  const auto corner = [](int64_t padding_value) {
    sim::Conv2dParams params;
    params.window.kernel = {3, 3};
    params.window.padding = {1, 1, 1, 1};
    params.input_zero_point = -128;
    params.padding_value = padding_value;
    params.weights = Tensor(DType::int8, {1, 3, 3, 1});
    for (int64_t i = 0; i < 9; ++i) params.weights.set_int(i, 3);
    params.requantize = sim::Requantizer({}, {}, kInt64);
    Tensor image(DType::int8, {1, 3, 3, 1});
    for (int64_t i = 0; i < 9; ++i) image.set_int(i, -100);
    const sim::Conv2d conv(params);
    return sim::test::run(conv, {&image}, {sim::Isa::scalar, nullptr, false}).int_at(0);
  };
  CHECK(corner(-128) == 4 * 28 * 3);         // four taps inside the image
  CHECK(corner(0) == 4 * 28 * 3 + 5 * 384);  // five outside, each off by 128 * 3
}

TEST_CASE("pitfall 13: pairs of products in 16 bits") {
  Layer layer(kUint8, {255, 255, 255, 255}, {127, 127, 127, 127});
  CHECK(layer.run() == 129540);  // vpdpbusd
  layer.params.accumulator.operands = Accumulator::Operands::unsigned_codes;
  layer.params.accumulator.block = Accumulator::Block{2, 16, Overflow::saturate};
  CHECK(layer.run() == 2 * 32767);  // vpmaddubsw: each pair is 64770
}

TEST_CASE("pitfall 14: saturation of partial sums, and two rounding shifts for one") {
  Layer layer(kInt8, {5, 10}, {1, -1});
  layer.set_bias((int64_t{1} << 33) - 1);
  layer.params.accumulator.bits = 64;
  layer.params.accumulator.init = Accumulator::Init::bias;
  CHECK(layer.run() == 8589934586);
  layer.params.accumulator.bits = 34;
  layer.params.accumulator.overflow = Overflow::saturate;
  CHECK(layer.run() == 8589934581);
  constexpr Rounding kAway = Rounding::half_away_from_zero;
  CHECK(evaluate({step(StepKind::shr, 2, kAway), step(StepKind::shr, 2, kAway)}, 22) == 2);
  CHECK(evaluate({step(StepKind::shr, 4, kAway)}, 22) == 1);
}

TEST_CASE("pitfall 15: floor or nearest") {
  const auto shifted = [](int64_t multiplier, int64_t addend, int64_t v, Rounding rounding) {
    sim::Arguments a;
    a.integers = {{"multiplier", {multiplier}},
                  {"addend", {addend}},
                  {"shift", {5}},
                  {"clamp_min", {-128}},
                  {"clamp_max", {127}}};
    return evaluate(sim::programs::deeploy_requant_shift(kInt8, rounding), a, v, kInt8);
  };
  CHECK(shifted(10, 0, -1, Rounding::floor) == -1);  // NEMO; -0.3
  CHECK(shifted(10, 0, -1, Rounding::half_up) == 0);
  CHECK(shifted(13, 5, -7, Rounding::floor) == -3);  // -2.69
  CHECK(shifted(13, 5, -6, Rounding::floor) == -3);  // -2.28
  CHECK(shifted(13, 5, -6, Rounding::half_up) == -2);
}

TEST_CASE("pitfall 18: multiplication and addition fused or contracted") {
  // ONNX Runtime's QLinearAdd: rint(a ra + (b rb + k)), with FMA on x86, by the steps of both
  // kinds.
  sim::AddFmaParams params;
  params.lhs_scale = 0.05F;
  params.rhs_scale = 0.07F;
  params.output_scale = 0.1F;
  params.lhs_zero_point = 3;
  params.rhs_zero_point = 250;
  params.output_zero_point = 11;
  const float ra = params.lhs_scale / params.output_scale;
  const float rb = params.rhs_scale / params.output_scale;
  const float fused_constant = 11.0F - std::fma(ra, 3.0F, rb * 250.0F);
  Tensor lhs(DType::uint8, {256, 256}), rhs(DType::uint8, {256, 256});
  for (int64_t i = 0; i < lhs.numel(); ++i) {
    lhs.set_int(i, i / 256);
    rhs.set_int(i, i % 256);
  }
  const Tensor recorded =
      sim::test::run(sim::AddFma(params), {&lhs, &rhs}, {sim::Isa::scalar, nullptr, false});
  const auto differing = [&](bool fused) {
    const sim::Operand scale = sim::Operand::constant_f32(ra), addend = sim::Operand::arg("addend");
    sim::Step multiply = step(StepKind::fmul, scale);
    std::vector<sim::Step> steps = {step(StepKind::to_f32), multiply};
    if (fused) {
      steps.back().b = addend;
    } else {
      steps.push_back(step(StepKind::fadd, addend));
    }
    steps.push_back(round_step(Rounding::half_even));
    steps.push_back({.kind = StepKind::resize, .a = {}, .b = {}, .type = kUint8});
    sim::Arguments arguments;
    for (int b = 0; b < 256; ++b) {
      const auto code = static_cast<float>(b);
      arguments.reals["addend"].push_back(fused ? std::fma(code, rb, fused_constant)
                                                : code * rb + fused_constant);
    }
    const sim::Requantizer sum({steps, false}, arguments, kUint8);
    sim::Events events;
    int64_t different = 0;
    for (int64_t i = 0; i < lhs.numel(); ++i) {
      different += sum.apply(i / 256, i % 256, events) == recorded.int_at(i) ? 0 : 1;
    }
    return different;
  };
  CHECK(differing(true) == 0);
  CHECK(differing(false) == 530);
}

/// 0.5 a + 0.5 b (real) to a scale of 1, all int8 pairs, as a profile lowers it.
Tensor add_of_halves(const char* name) {
  backends::IntGraph graph;
  graph.name = "add";
  quant::QParams half, one;
  half.scale = {0.5F};
  half.zero_point = {0};
  one.scale = {1.0F};
  one.zero_point = {0};
  const Shape shape{1, 65536};
  graph.tensors = {{"a", DType::int8, shape, half, std::nullopt},
                   {"b", DType::int8, shape, half, std::nullopt},
                   {"y", DType::int8, shape, one, std::nullopt}};
  graph.inputs = {0, 1};
  graph.outputs = {2};
  backends::IntNode node;
  node.name = node.op = "add";
  node.inputs = {0, 1};
  node.output = 2;
  graph.nodes = {node};
  const sim::Graph lowered = backends::lower(graph, profile(name));
  Tensor a(DType::int8, shape), b(DType::int8, shape);
  for (int64_t i = 0; i < 65536; ++i) {
    a.set_int(i, i / 256 - 128);
    b.set_int(i, i % 256 - 128);
  }
  return sim::test::run(*lowered.nodes.front().op, {&a, &b}, {sim::Isa::scalar, nullptr, false});
}

TEST_CASE("pitfall 19: one addition on four runtimes") {
  const Tensor xnnpack = add_of_halves("xnnpack-x86");
  const auto different = [&](const char* name) {
    const Tensor other = add_of_halves(name);
    int64_t count = 0;
    for (int64_t i = 0; i < 65536; ++i) count += xnnpack.int_at(i) == other.int_at(i) ? 0 : 1;
    return count;
  };
  CHECK(different("tflite-micro") == 16512);
  CHECK(different("tflite-single-rounding") == 0);
  CHECK(different("onnxruntime-cpu") == 16384);
}

TEST_CASE("pitfall 29: a fused activation is no chain of two layers") {
  // NVDLA: ReLU comes before the converter that subtracts an offset.
  sim::Arguments stage, convert;
  stage.integers = {{"operand", {0}}, {"multiplier", {1}}, {"shift", {0}}};
  convert.integers = {{"offset", {-40}}, {"multiplier", {1}}, {"shift", {0}}};
  const auto through = [&](sim::programs::NvdlaRelu relu) {
    const int64_t v = evaluate(sim::programs::nvdla_sdp_stage(sim::programs::NvdlaAlu::none, relu),
                               stage, -100, kInt32);
    return evaluate(sim::programs::nvdla_convert(kInt8), convert, v, kInt8);
  };
  CHECK(through(sim::programs::NvdlaRelu::on) == 40);
  CHECK(std::max<int64_t>(through(sim::programs::NvdlaRelu::off), 0) == 0);  // the clamp after
}

}  // namespace
}  // namespace facsim::pitfalls
