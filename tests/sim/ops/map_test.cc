// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/map.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <random>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

Step step(StepKind kind, Operand a = {}, Operand b = {}) {
  return {.kind = kind, .a = std::move(a), .b = std::move(b)};
}

Step saturate(IntType type) {
  return {.kind = StepKind::resize, .a = {}, .b = {}, .type = type, .overflow = Overflow::saturate};
}

MapParams quantize_params() {
  MapParams params;
  params.kind = "quantize";
  params.input_dtype = DType::float32;
  StepProgram program;
  program.input_is_real = true;
  program.steps = {
      step(StepKind::fdiv, Operand::arg("scale")),
      step(StepKind::fclamp, Operand::constant_f32(-1e6f), Operand::constant_f32(1e6f)),
      step(StepKind::round), step(StepKind::add, Operand::constant(-3)), saturate(kInt8)};
  Arguments arguments;
  arguments.reals = {{"scale", {0.05f}}};
  params.requantize = Requantizer(program, arguments, kInt8);
  return params;
}

MapParams dequantize_params() {
  MapParams params;
  params.kind = "dequantize";
  StepProgram program;
  program.steps = {step(StepKind::sub, Operand::arg("zero_point")), step(StepKind::to_f32),
                   step(StepKind::fmul, Operand::arg("scale"))};
  Arguments arguments;
  arguments.integers = {{"zero_point", {-3}}};
  arguments.reals = {{"scale", {0.05f}}};
  params.requantize = Requantizer(program, arguments, kInt8);
  return params;
}

MapParams clamp_params(DType input, IntType type) {
  MapParams params;
  params.kind = "clamp";
  params.input_dtype = input;
  StepProgram program;
  program.steps = {step(StepKind::add, Operand::constant(100)), saturate(type),
                   step(StepKind::clamp, Operand::constant(-20), Operand::constant(90))};
  params.requantize = Requantizer(program, {}, type);
  return params;
}

}  // namespace

TEST_CASE("map: quantize divides, rounds half to even, saturates and counts it") {
  const Map op(quantize_params());
  CHECK(op.kind() == "quantize");
  CHECK(op.output_dtype() == DType::int8);
  const Tensor x = tensor<float>({1, 6}, {0.0f, 0.125f, -0.125f, 100.0f, -100.0f, NAN});
  Events events;
  const Tensor y = run_everywhere(op, {&x}, &events);
  // 0.125 / 0.05 is 2.5 in float32; a NaN takes the lower bound of fclamp.
  CHECK(ints(y) == std::vector<int64_t>{-3, -1, -5, 127, -128, -128});
  CHECK(events.saturated == 3);
}

TEST_CASE("map: the block form of float32 programs equals the norm, in every rounding (seed 62)") {
  std::mt19937 random(62);
  Tensor x(DType::float32, {3, 1501});
  for (int64_t i = 0; i < x.numel(); ++i) {
    const auto code = static_cast<float>(static_cast<int>(random() % 401) - 200);
    x.data<float>()[i] = i % 3 == 0 ? (code + 0.5f) * 0.25f  // ties
                                    : std::ldexp(code, static_cast<int>(random() % 60) - 30);
  }
  const float extremes[] = {NAN, INFINITY, -INFINITY, -0.0f, 1e-45f, 3.4e38f, -3.4e38f};
  std::copy(std::begin(extremes), std::end(extremes), x.data<float>());
  for (const Rounding mode : all_roundings()) {
    for (const StepKind scaling : {StepKind::fdiv, StepKind::fmul}) {
      MapParams params = quantize_params();
      StepProgram program;
      program.input_is_real = true;
      program.steps = {
          step(scaling, Operand::constant_f32(0.25f)),
          step(StepKind::fadd, Operand::arg("zero_point")),
          step(StepKind::fclamp, Operand::constant_f32(-130.25f), Operand::constant_f32(140.5f)),
          step(StepKind::round),
          step(StepKind::sub, Operand::arg("offset")),
          saturate(kInt8)};
      program.steps[3].rounding = mode;
      Arguments arguments;
      arguments.reals = {{"zero_point", {0.5f}}};
      arguments.integers = {{"offset", {3}}};
      params.requantize = Requantizer(program, arguments, kInt8);
      Events events;
      run_everywhere(Map(params), {&x}, &events);
      CHECK(events.saturated > 0);
    }
  }
}

TEST_CASE("map: dequantize gives float32, and the codes again when quantized") {
  const Map op(dequantize_params());
  CHECK(op.output_dtype() == DType::float32);
  Tensor codes(DType::int8, {1, 256});
  for (int64_t i = 0; i < 256; ++i) codes.set_int(i, i - 128);
  const Tensor real = run_everywhere(op, {&codes});
  for (int64_t i = 0; i < 256; ++i) {
    REQUIRE(real.data<float>()[i] == static_cast<float>(codes.int_at(i) + 3) * 0.05f);
  }
  CHECK(same_bits(codes, run_everywhere(Map(quantize_params()), {&real})));
}

TEST_CASE("map: the table of an 8-bit input is the program for every code, events included") {
  for (const DType dtype : {DType::int8, DType::uint8}) {
    const Map op(clamp_params(dtype, kInt8));
    Tensor codes(dtype, {2, 128});
    for (int64_t i = 0; i < 256; ++i) codes.set_int(i, dtype == DType::int8 ? i - 128 : i);
    Events events;
    const Tensor y = run_everywhere(op, {&codes}, &events);
    int64_t saturated = 0;
    for (int64_t i = 0; i < 256; ++i) {
      const int64_t shifted = codes.int_at(i) + 100;
      saturated += shifted > 127 ? 1 : 0;
      REQUIRE(y.int_at(i) == std::clamp<int64_t>(std::min<int64_t>(shifted, 127), -20, 90));
    }
    CHECK(events == Events{saturated, 0, 0});
  }
}

TEST_CASE("map: wider inputs run the program itself") {
  const Tensor x = tensor<int32_t>({1, 3}, {INT32_MIN, 5, INT32_MAX});
  const Tensor y = run_everywhere(Map(clamp_params(DType::int32, kInt16)), {&x});
  CHECK(ints(y) == std::vector<int64_t>{-20, 90, 90});
}

TEST_CASE("map: per-channel arguments index the last axis, or channel_axis") {
  MapParams params;
  StepProgram program;
  program.steps = {step(StepKind::add, Operand::arg("offset")), saturate(kInt8)};
  Arguments arguments;
  arguments.integers = {{"offset", {10, 20}}};
  params.requantize = Requantizer(program, arguments, kInt8);
  const Tensor x = tensor<int8_t>({1, 2, 2}, {0, 1, 2, 3});
  CHECK(ints(run_everywhere(Map(params), {&x})) == std::vector<int64_t>{10, 21, 12, 23});
  params.channel_axis = 1;
  CHECK(ints(run_everywhere(Map(params), {&x})) == std::vector<int64_t>{10, 11, 22, 23});
  params.channel_axis = 0;
  CHECK(error_of([&] { run(Map(params), {&x}, {}); }, "2 channels on axis 0") ==
        ErrorCode::shape_mismatch);
  params.channel_axis = 3;
  CHECK(error_of([&] { run(Map(params), {&x}, {}); }, "axis 3") == ErrorCode::shape_mismatch);
}

TEST_CASE("map: a program that refuses a code is reported only when the code occurs") {
  MapParams params;
  StepProgram program;
  program.steps = {
      {.kind = StepKind::resize, .a = {}, .b = {}, .type = {4, true}, .overflow = Overflow::error}};
  params.requantize = Requantizer(program, {}, kInt8);
  const Map op(params);
  const Tensor fits = tensor<int8_t>({1, 2}, {-8, 7});
  CHECK(ints(run(op, {&fits}, {})) == std::vector<int64_t>{-8, 7});
  const Tensor outside = tensor<int8_t>({1, 2}, {0, 8});
  CHECK(error_of([&] { run(op, {&outside}, {}); }, "8") == ErrorCode::bad_value);
}

TEST_CASE("map: refuses programs of the wrong kind, and other input types") {
  MapParams params = quantize_params();
  params.input_dtype = DType::int8;
  CHECK(error_of([&] { Map{params}; }, "a program over float32") == ErrorCode::bad_value);
  params = clamp_params(DType::float32, kInt8);
  CHECK(error_of([&] { Map{params}; }, "a program over integers") == ErrorCode::bad_value);
  params = quantize_params();
  params.kind = "softmax";
  CHECK(error_of([&] { Map{params}; }, "elementwise") == ErrorCode::bad_value);
  const Tensor x = random_codes(kInt8, {1, 4}, 1);
  CHECK(error_of([&] { run(Map(quantize_params()), {&x}, {}); },
                 "quantize input: dtype int8; expected float32") == ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
