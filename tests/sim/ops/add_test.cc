// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/add.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <barrier>
#include <cfenv>
#include <cmath>
#include <thread>

#include "sim/requantize/programs.h"
#include "tests/sim/ops/op_tester.h"
#include "tests/sim/ops/tflite_oracle.h"

namespace facsim::sim::test {

namespace {

const TfliteAdd kTflite{-7, 12, 3, 1518500250, 1073741824, 1717986918, 0, 1, 19, -128, 127};

/// v = (code - zero_point) << 20, then TFLite's double rounding, kept in 32 bits.
Requantizer operand(int64_t zero_point, int64_t multiplier, int shift) {
  StepProgram program;
  program.steps = {
      {.kind = StepKind::sub, .a = Operand::constant(zero_point), .b = {}},
      {.kind = StepKind::shl, .a = Operand::constant(20), .b = {}},
      {.kind = StepKind::mul, .a = Operand::constant(multiplier), .b = {}},
      {.kind = StepKind::shr, .a = Operand::constant(31), .b = {}, .rounding = Rounding::half_up},
      {.kind = StepKind::shr,
       .a = Operand::constant(shift),
       .b = {},
       .rounding = Rounding::half_away_from_zero}};
  return Requantizer(program, {}, kInt32);
}

AddParams tflite_params() {
  AddParams params;
  params.lhs = operand(kTflite.lhs_zero_point, kTflite.lhs_multiplier, kTflite.lhs_shift);
  params.rhs = operand(kTflite.rhs_zero_point, kTflite.rhs_multiplier, kTflite.rhs_shift);
  Arguments arguments;
  arguments.integers = {{"left_shift", {0}},
                        {"multiplier", {kTflite.output_multiplier}},
                        {"shift", {kTflite.output_shift}},
                        {"zero_point", {kTflite.output_zero_point}},
                        {"clamp_min", {kTflite.clamp_min}},
                        {"clamp_max", {kTflite.clamp_max}}};
  params.output = Requantizer(programs::fixed_point_double(kInt8), arguments, kInt8);
  return params;
}

Requantizer identity(IntType output) { return Requantizer({}, {}, output); }

}  // namespace

TEST_CASE("add: all pairs of int8 codes equal TFLite's reference formula") {
  const Add op(tflite_params());
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
    REQUIRE(norm.int_at(i) == kTflite(lhs.int_at(i), rhs.int_at(i)));
  }
  CHECK(events.saturated > 0);
  for (const Isa isa : available_isas()) {
    CAPTURE(to_string(isa));
    CHECK(same_bits(norm, run(op, {&lhs, &rhs}, {isa, nullptr, false})));
  }
}

TEST_CASE("add: every way to run and explain agree, and count the same events") {
  const Tensor lhs = random_codes(kInt8, {2, 3, 5, 7}, 11);
  const Tensor rhs = random_codes(kInt8, {2, 3, 5, 7}, 12);
  run_everywhere(Add(tflite_params()), {&lhs, &rhs});
}

TEST_CASE("add: broadcasts as numpy does, from either side") {
  AddParams params;
  params.lhs = params.rhs = identity(kInt32);
  params.output = identity(kInt32);
  const Add op(params);
  const Tensor a = tensor<int8_t>({2, 1, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor b = tensor<int8_t>({2, 1}, {10, 20});
  const std::vector<int64_t> expected = {11, 12, 13, 21, 22, 23, 14, 15, 16, 24, 25, 26};
  const Tensor sum = run_everywhere(op, {&a, &b});
  CHECK(sum.shape() == Shape{2, 2, 3});
  CHECK(ints(sum) == expected);
  CHECK(ints(run_everywhere(op, {&b, &a})) == expected);
}

TEST_CASE("add: sub takes the difference, for every width, kernel and broadcast") {
  for (const IntType type : {kInt8, kInt16, kInt32}) {
    AddParams params = tflite_params();
    params.kind = AddParams::Kind::sub;
    params.lhs_type = params.rhs_type = type;
    if (type.bits > 8) params.lhs = params.rhs = identity(kInt32);
    const Add op(params);
    CHECK(op.kind() == "sub");
    const Tensor a = random_codes(type, {3, 50, 60}, 1);
    for (const Shape& shape : {Shape{3, 50, 60}, Shape{60}, Shape{50, 1}, Shape{1}}) {
      Tensor b = random_codes(type, shape, 2);
      for (int64_t i = 0; i < b.numel(); ++i) b.set_int(i, b.int_at(i) / 2);
      const Tensor y = run(op, {&a, &b}, {Isa::scalar, nullptr, false});
      for (const Isa isa : available_isas()) {
        CHECK(same_bits(y, run(op, {&a, &b}, {isa, nullptr, false})));
      }
    }
  }
  AddParams params;
  params.kind = AddParams::Kind::sub;
  params.lhs_type = params.rhs_type = kInt16;
  params.lhs = params.rhs = params.output = identity(kInt32);
  const Tensor a = tensor<int16_t>({2, 2}, {1, -32768, 32767, 5});
  const Tensor b = tensor<int16_t>({2}, {7, 32767});
  const Add op(params);
  CHECK(ints(run_everywhere(op, {&a, &b})) == std::vector<int64_t>{-6, -65535, 32760, -32762});
  CHECK(ints(run_everywhere(op, {&b, &a})) == std::vector<int64_t>{6, 65535, -32760, 32762});
}

TEST_CASE("add: 16-bit codes run through kernels and count the same events") {
  AddParams params = tflite_params();
  params.lhs_type = params.rhs_type = kInt16;
  StepProgram narrow;
  narrow.steps = {{.kind = StepKind::resize,
                   .a = {},
                   .b = {},
                   .type = {12, true},
                   .overflow = Overflow::saturate},
                  {.kind = StepKind::shl, .a = Operand::constant(18), .b = {}}};
  params.lhs = params.rhs = Requantizer(narrow, {}, kInt32);
  const Tensor a = random_codes(kInt16, {2, 9, 40}, 3), b = random_codes(kInt16, {9, 1}, 4);
  Events events;
  run_everywhere(Add(params), {&a, &b}, &events);
  CHECK(events.saturated > 0);
}

TEST_CASE("add: two threads that make the first run together get the norm's bits") {
  AddParams params = tflite_params();
  params.lhs_type = params.rhs_type = kInt16;
  StepProgram shift;
  shift.steps = {{.kind = StepKind::shl, .a = Operand::constant(14), .b = {}}};
  params.lhs = params.rhs = Requantizer(shift, {}, kInt32);
  const Tensor a = random_codes(kInt16, {64, 40}, 3), b = random_codes(kInt16, {64, 40}, 4);
  const Tensor norm = run(Add(params), {&a, &b}, {Isa::scalar, nullptr, false});
  for (int repetition = 0; repetition < 8; ++repetition) {
    const Add op(params);
    std::barrier start(2);
    std::array<Tensor, 2> results;
    const auto first_run = [&](Tensor& result) {
      start.arrive_and_wait();
      result = run(op, {&a, &b}, {Isa::best, nullptr, false});
    };
    std::thread other([&] { first_run(results[0]); });
    first_run(results[1]);
    other.join();
    CHECK(same_bits(norm, results[0]));
    CHECK(same_bits(norm, results[1]));
  }
}

TEST_CASE("add: float32 programs sum with one float32 addition") {
  AddParams params;
  StepProgram to_real, from_real;
  to_real.steps = {{.kind = StepKind::to_f32, .a = {}, .b = {}},
                   {.kind = StepKind::fmul, .a = Operand::constant_f32(0.1f), .b = {}}};
  from_real.input_is_real = true;
  from_real.steps = {
      {.kind = StepKind::fmul, .a = Operand::constant_f32(5.0f), .b = {}},
      {.kind = StepKind::round, .a = {}, .b = {}, .rounding = Rounding::half_even},
      {.kind = StepKind::resize, .a = {}, .b = {}, .type = kInt8, .overflow = Overflow::saturate}};
  params.lhs = params.rhs = Requantizer(to_real, {}, kInt8);
  params.output = Requantizer(from_real, {}, kInt8);
  const Tensor lhs = random_codes(kInt8, {3, 40}, 21), rhs = random_codes(kInt8, {3, 40}, 22);
  const Tensor sum = run_everywhere(Add(params), {&lhs, &rhs});
  for (int64_t i = 0; i < sum.numel(); ++i) {
    const float total =
        static_cast<float>(lhs.int_at(i)) * 0.1f + static_cast<float>(rhs.int_at(i)) * 0.1f;
    const auto rounded = static_cast<int64_t>(std::nearbyint(total * 5.0f));
    CHECK(sum.int_at(i) == std::clamp<int64_t>(rounded, -128, 127));
  }
}

TEST_CASE("add: per-channel programs index the last axis") {
  AddParams params;
  StepProgram times;
  times.steps = {{.kind = StepKind::mul, .a = Operand::arg("multiplier"), .b = {}}};
  Arguments arguments;
  arguments.integers = {{"multiplier", {1, 10, 100}}};
  params.lhs = Requantizer(times, arguments, kInt32);
  params.rhs = identity(kInt32);
  params.output = identity(kInt32);
  const Tensor a = tensor<int8_t>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor b = tensor<int8_t>({2, 3}, {1, 1, 1, 1, 1, 1});
  const Add op(params);
  CHECK(ints(run_everywhere(op, {&a, &b})) == std::vector<int64_t>{2, 21, 301, 5, 51, 601});
  const Tensor narrow = tensor<int8_t>({2, 2}, {1, 2, 3, 4});
  CHECK(error_of(
            [&] {
              run(op, {&narrow, &narrow}, {});
            },
            "3 channels") == ErrorCode::shape_mismatch);
}

TEST_CASE("add: a program that refuses a code is reported only when the code occurs") {
  AddParams params;
  StepProgram narrow;
  narrow.steps = {
      {.kind = StepKind::resize, .a = {}, .b = {}, .type = {4, true}, .overflow = Overflow::error}};
  params.lhs = Requantizer(narrow, {}, kInt8);
  params.rhs = identity(kInt8);
  params.output = identity(kInt8);
  const Add op(params);
  const Tensor fits = tensor<int8_t>({1, 3}, {-8, 0, 7});
  const Tensor zeros(DType::int8, {1, 3});
  CHECK(ints(run(op, {&fits, &zeros}, {})) == std::vector<int64_t>{-8, 0, 7});
  const Tensor outside = tensor<int8_t>({1, 3}, {0, 8, 0});
  CHECK(error_of([&] { run(op, {&outside, &zeros}, {}); }, "8") == ErrorCode::bad_value);
}

TEST_CASE("add: operands beyond 32 bits whose sums fit them") {
  const auto always = [](int64_t value) {
    StepProgram program;
    program.steps = {{.kind = StepKind::mul, .a = Operand::constant(0), .b = {}},
                     {.kind = StepKind::add, .a = Operand::constant(value), .b = {}}};
    return Requantizer(program, {}, {64, true});
  };
  AddParams params;
  params.lhs_type = params.rhs_type = kInt16;
  params.lhs = always(int64_t{1} << 31);
  params.rhs = always(-(int64_t{1} << 31));
  params.output = identity(kInt32);
  const Tensor x = random_codes(kInt16, {1, 40}, 1);
  CHECK(ints(run_everywhere(Add(params), {&x, &x})) == std::vector<int64_t>(40, 0));
  params.kind = AddParams::Kind::sub;
  params.rhs = always((int64_t{1} << 31) + 5);
  CHECK(ints(run_everywhere(Add(params), {&x, &x})) == std::vector<int64_t>(40, -5));
}

TEST_CASE("add: explains float32 sums alike in every rounding mode of the caller") {
  StepProgram to_real;
  to_real.steps = {{.kind = StepKind::to_f32, .a = {}, .b = {}},
                   {.kind = StepKind::fmul, .a = Operand::constant_f32(0.1f), .b = {}}};
  StepProgram to_codes;
  to_codes.input_is_real = true;
  to_codes.steps = {{.kind = StepKind::fdiv, .a = Operand::constant_f32(0.3f), .b = {}},
                    {.kind = StepKind::round, .a = {}, .b = {}},
                    {.kind = StepKind::resize, .a = {}, .b = {}, .type = kInt8}};
  AddParams params;
  params.lhs = params.rhs = Requantizer(to_real, {}, kInt8);
  params.output = Requantizer(to_codes, {}, kInt8);
  const Add op(params);
  const Tensor a = random_codes(kInt8, {1, 64}, 1), b = random_codes(kInt8, {1, 64}, 2);
  for (const int environment : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    for (int64_t i = 0; i < a.numel(); ++i) {
      const std::vector<const Tensor*> inputs = {&a, &b};
      const Explanation expected = op.explain(inputs, i);
      std::fesetround(environment);
      const Explanation found = op.explain(inputs, i);
      std::fesetround(FE_TONEAREST);
      CHECK(found.result == expected.result);
      REQUIRE(found.steps.size() == expected.steps.size());
      for (size_t s = 0; s < found.steps.size(); ++s) {
        CHECK(found.steps[s].real == expected.steps[s].real);
      }
    }
  }
}

TEST_CASE("add: refuses what it cannot add") {
  const Add op(tflite_params());
  const Tensor a = random_codes(kInt8, {1, 4}, 1), b = random_codes(kInt8, {1, 3}, 2);
  CHECK(error_of([&] { run(op, {&a, &b}, {}); }, "(1, 4) and (1, 3)") == ErrorCode::shape_mismatch);
  CHECK(error_of([&] { run(op, {&a}, {}); }, "1 inputs") == ErrorCode::shape_mismatch);
  const Tensor u = random_codes(kUint8, {1, 4}, 3);
  CHECK(error_of(
            [&] {
              run(op, {&a, &u}, {});
            },
            "add rhs: dtype uint8; expected int8") == ErrorCode::bad_value);

  AddParams narrow = tflite_params();
  narrow.lhs_type = {4, true};
  const Tensor outside = tensor<int8_t>({1, 4}, {0, 7, 8, 0});
  CHECK(error_of(
            [&] {
              run(Add(narrow), {&outside, &a}, {});
            },
            "add lhs[2]: code 8; expected -8..7") == ErrorCode::bad_value);

  AddParams mixed = tflite_params();
  StepProgram to_real;
  to_real.steps = {{.kind = StepKind::to_f32, .a = {}, .b = {}}};
  mixed.rhs = Requantizer(to_real, {}, kInt8);
  CHECK(error_of([&] { Add{mixed}; }, "one integer, one float32") == ErrorCode::bad_value);

  AddParams wide;
  wide.lhs_type = wide.rhs_type = {64, true};
  wide.lhs = wide.rhs = wide.output = identity({64, true});
  const Tensor huge = tensor<int64_t>({1, 1}, {INT64_MAX});
  CHECK(error_of([&] { run(Add(wide), {&huge, &huge}, {}); }, "64 bits") == ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
