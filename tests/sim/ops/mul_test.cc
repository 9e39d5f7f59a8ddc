// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/mul.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "sim/requantize/programs.h"
#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

MulParams tflite_mul(IntType type, int64_t zero_point) {
  Arguments arguments;
  arguments.integers = {
      {"left_shift", {0}},  {"multiplier", {1318899239}}, {"shift", {5}},
      {"zero_point", {11}}, {"clamp_min", {type.min()}},  {"clamp_max", {type.max()}}};
  MulParams params;
  params.lhs_type = params.rhs_type = type;
  params.lhs_zero_point = zero_point;
  params.rhs_zero_point = zero_point - 20;
  params.requantize = Requantizer(programs::fixed_point_double(type), arguments, type);
  return params;
}

/// (product * multiplier) doubled and rounded half up at 31 bits, then / 2^5 half away from zero.
int64_t tflite_product(int64_t a, int64_t b, const MulParams& p) {
  const int64_t product = (a - p.lhs_zero_point) * (b - p.rhs_zero_point);
  const int64_t high = (product * 1318899239 + (int64_t{1} << 30)) >> 31;
  const int64_t magnitude = (std::abs(high) + 16) / 32;
  const IntType type = p.requantize.output_type();
  return std::clamp((high < 0 ? -magnitude : magnitude) + 11, type.min(), type.max());
}

}  // namespace

TEST_CASE("mul: all pairs of int8 codes equal TFLite's reference formula") {
  const MulParams params = tflite_mul(kInt8, -15);
  const Mul op(params);
  Tensor lhs(DType::int8, {256, 256}), rhs(DType::int8, {256, 256});
  for (int64_t i = 0; i < lhs.numel(); ++i) {
    lhs.set_int(i, i / 256 - 128);
    rhs.set_int(i, i % 256 - 128);
  }
  Events events;
  const Tensor norm = run(op, {&lhs, &rhs}, {Isa::scalar, nullptr, true}, &events);
  for (int64_t i = 0; i < lhs.numel(); ++i) {
    CAPTURE(lhs.int_at(i));
    CAPTURE(rhs.int_at(i));
    REQUIRE(norm.int_at(i) == tflite_product(lhs.int_at(i), rhs.int_at(i), params));
  }
  CHECK(events.saturated > 0);
  for (const Isa isa : available_isas()) {
    CHECK(same_bits(norm, run(op, {&lhs, &rhs}, {isa, nullptr, false})));
  }
}

TEST_CASE("mul: int16 codes, broadcast from either side, every way to run") {
  const MulParams params = tflite_mul(kInt16, 0);
  const Mul op(params);
  const Tensor a = random_codes(kInt16, {3, 5, 7, 11}, 1);
  for (const Shape& shape : {Shape{3, 5, 7, 11}, Shape{11}, Shape{7, 1}, Shape{1}}) {
    const Tensor b = random_codes(kInt16, shape, 2);
    run_everywhere(op, {&a, &b});
    run_everywhere(op, {&b, &a});
  }
  const Tensor two = tensor<int16_t>({1, 2}, {32767, -32768});
  const Tensor y = run(op, {&two, &two}, {});
  for (int64_t i = 0; i < 2; ++i) {
    CHECK(y.int_at(i) == tflite_product(two.int_at(i), two.int_at(i), params));
  }
}

TEST_CASE("mul: products beyond 32 bits, and programs per channel") {
  MulParams params;
  params.lhs_type = params.rhs_type = {31, true};
  StepProgram program;
  program.steps = {
      {.kind = StepKind::shr, .a = Operand::arg("shift"), .b = {}, .rounding = Rounding::half_up}};
  Arguments arguments;
  arguments.integers = {{"shift", {0, 30, 60}}};
  params.requantize = Requantizer(program, arguments, {64, true});
  const Mul op(params);
  const int32_t low = -(1 << 30);
  const Tensor a = tensor<int32_t>({2, 3}, {low, low, low, 3, 5, 7});
  const Tensor b = tensor<int32_t>({1, 3}, {low, low, low});
  const int64_t square = int64_t{1} << 60;
  CHECK(ints(run_everywhere(op, {&a, &b})) ==
        std::vector<int64_t>{square, int64_t{1} << 30, 1, int64_t{3} * low, -5, 0});
  const Tensor narrow = tensor<int32_t>({1, 2}, {1, 2});
  CHECK(error_of(
            [&] {
              run(op, {&narrow, &narrow}, {});
            },
            "3 channels") == ErrorCode::shape_mismatch);
}

TEST_CASE("mul: refuses wide types, zero points that are no codes, float32 programs") {
  MulParams params = tflite_mul(kInt8, 0);
  params.lhs_type = kInt32;
  CHECK(error_of([&] { Mul{params}; }, "32 bits") == ErrorCode::unsupported);
  params = tflite_mul(kInt8, 0);
  params.rhs_zero_point = 200;
  CHECK(error_of([&] { Mul{params}; }, "rhs zero point") == ErrorCode::bad_value);
  StepProgram to_real;
  to_real.steps = {{.kind = StepKind::to_f32, .a = {}, .b = {}}};
  params = tflite_mul(kInt8, 0);
  params.requantize = Requantizer(to_real, {}, kInt8);
  CHECK(error_of([&] { Mul{params}; }, "float32") == ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
