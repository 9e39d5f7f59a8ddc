// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/sigmoid.h"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/requantize/programs.h"
#include "tests/sim/ops/activation_tester.h"
#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

using Function = SigmoidParams::Function;

/// Input scale 0.1 (sigmoid) and 1/16 (tanh), as TFLite Micro's tests.
SigmoidParams q4(Function function) {
  SigmoidParams params;
  params.function = function;
  params.radius = 120;
  const int64_t multiplier = function == Function::sigmoid ? 1717986944 : 1073741824;
  params.scale = tflite_double(multiplier, 24, 0, kInt32);
  return params;
}

/// x = code * multiplier / 2^shift half_up.
SigmoidParams by_table(Function function, int64_t multiplier, int64_t shift) {
  SigmoidParams params;
  params.function = function;
  params.algorithm = SigmoidParams::Algorithm::table_u16;
  params.type = kInt16;
  StepProgram program;
  program.steps = {{.kind = StepKind::mul, .a = Operand::constant(multiplier), .b = {}},
                   {.kind = StepKind::shr,
                    .a = Operand::constant(shift),
                    .b = {},
                    .rounding = Rounding::half_up}};
  params.scale = Requantizer(program, {}, kInt32);
  return params;
}

}  // namespace

TEST_CASE("sigmoid: int8 codes give TFLite Micro's results") {
  const Tensor x = tensor<int8_t>({2, 5}, {10, 20, 30, 40, 50, -10, -20, -30, -40, -50});
  const Tensor y = run_everywhere(Sigmoid(q4(Function::sigmoid)), {&x});
  CHECK(ints(y) == std::vector<int64_t>{59, 97, 116, 123, 126, -59, -97, -116, -123, -126});
}

TEST_CASE("tanh: int8 codes give TFLite Micro's results") {
  const Tensor x = tensor<int8_t>({1, 10}, {-128, -52, -49, -35, -15, -3, 0, 3, 15, 49});
  const Tensor y = run_everywhere(Sigmoid(q4(Function::tanh)), {&x});
  CHECK(ints(y) == std::vector<int64_t>{-128, -128, -127, -125, -94, -24, 0, 24, 94, 127});
}

TEST_CASE("sigmoid: outside the radius the code is an end of the type") {
  SigmoidParams params = q4(Function::sigmoid);
  params.radius = 3;
  params.zero_point = 100;
  const Tensor x = tensor<int8_t>({1, 5}, {96, 97, 100, 103, 127});
  const Tensor y = run_everywhere(Sigmoid(params), {&x});
  CHECK(ints(y) == std::vector<int64_t>{-128, -128, 0, 127, 127});
}

TEST_CASE("sigmoid and tanh: int16 codes give TFLite Micro's results") {
  struct Case {
    int16_t x;
    int64_t sigmoid, tanh;
  };
  const std::vector<Case> cases = {
      {-32768, 11, -32767},  {-26367, 53, -32767},  {-19966, 249, -32764}, {-13564, 1153, -32681},
      {-7163, 4856, -30842}, {-761, 14866, -6019},  {5640, 26166, 28845},  {12042, 31122, 32585},
      {18443, 32409, 32760}, {24845, 32692, 32767}, {31246, 32752, 32767},
  };
  Tensor x(DType::int16, {1, static_cast<int64_t>(cases.size())});
  for (size_t i = 0; i < cases.size(); ++i) x.set_int(static_cast<int64_t>(i), cases[i].x);
  const Tensor s = run_everywhere(Sigmoid(by_table(Function::sigmoid, 3, 0)), {&x});
  const Tensor t = run_everywhere(Sigmoid(by_table(Function::tanh, 3, 0)), {&x});
  for (size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(cases[i].x);
    CHECK(s.int_at(static_cast<int64_t>(i)) == cases[i].sigmoid);
    CHECK(t.int_at(static_cast<int64_t>(i)) == cases[i].tanh);
  }
}

TEST_CASE("sigmoid table: known entries, and ever larger") {
  const auto& table = sigmoid_table();
  CHECK(table[0] == 32768);
  CHECK(table[4] == 35493);  // plain rounding gives 35492
  CHECK(table[62] == 60935);
  CHECK(table[254] == 65534);
  CHECK(table[255] == 65535);
  for (size_t i = 1; i < table.size(); ++i) REQUIRE(table[i] >= table[i - 1]);
}

// One step of Q15 is what interpolating a 256-entry table may be off.
TEST_CASE("sigmoid and tanh by table: within 2^-14 of the function for every int16 code") {
  const Tensor x = all_codes(kInt16);
  const Tensor s = run(Sigmoid(by_table(Function::sigmoid, 3, 0)), {&x}, {});
  const Tensor t = run(Sigmoid(by_table(Function::tanh, 3, 0)), {&x}, {});
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double real = static_cast<double>(x.int_at(i)) / 4096;
    CAPTURE(real);
    REQUIRE(std::abs(static_cast<double>(s.int_at(i)) / 32768 - 1 / (1 + std::exp(-real))) <
            0x1p-14);
    REQUIRE(std::abs(static_cast<double>(t.int_at(i)) / 32768 - std::tanh(real)) < 0x1p-14);
  }
}

TEST_CASE("sigmoid: refuses types, radii and programs it has no rule for") {
  SigmoidParams params = q4(Function::sigmoid);
  params.type = kUint8;
  CHECK(error_of([&] { Sigmoid{params}; }, "sigmoid: uint8; expected int8") ==
        ErrorCode::unsupported);
  params = by_table(Function::tanh, 3, 0);
  params.type = kInt8;
  CHECK(error_of([&] { Sigmoid{params}; }, "tanh: int8; expected int16") == ErrorCode::unsupported);
  params = q4(Function::tanh);
  params.radius = -1;
  CHECK(error_of([&] { Sigmoid{params}; }, "tanh radius: -1") == ErrorCode::bad_value);
  params = q4(Function::tanh);
  params.zero_point = INT64_MIN;
  CHECK(error_of([&] { Sigmoid{params}; }, "tanh zero_point") == ErrorCode::bad_value);
  params = q4(Function::tanh);
  params.scale = per_channel(kInt32);
  CHECK(error_of([&] { Sigmoid{params}; }, "2 channels") == ErrorCode::bad_value);
  params.scale = tflite_double(1 << 30, 0, 0, kInt8);
  CHECK(error_of([&] { Sigmoid{params}; }, "int8; expected int32") == ErrorCode::bad_value);
  params.scale = Requantizer({.steps = {}, .input_is_real = true}, {}, kInt32);
  CHECK(error_of([&] { Sigmoid{params}; }, "float32") == ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
