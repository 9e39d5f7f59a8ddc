// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/leaky_relu.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/activation_tester.h"
#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

TEST_CASE("leaky_relu: int8 codes give TFLite Micro's results") {
  LeakyReluParams params;
  params.positive = tflite_double(1073741824, 1, 0, kInt8);
  params.negative = tflite_double(1073741824, 0, 0, kInt8);
  const Tensor x = tensor<int8_t>({2, 3}, {0, 10, 30, 10, -10, -20});
  CHECK(ints(run_everywhere(LeakyRelu(params), {&x})) ==
        std::vector<int64_t>{0, 10, 30, 10, -5, -10});
}

TEST_CASE("leaky_relu: each sign takes its program; saturation is counted") {
  for (const IntType type : {kInt8, kUint8, kInt16}) {
    LeakyReluParams params;
    params.input_type = type;
    params.zero_point = type.min() + 40;
    params.positive = tflite_double(1900000001, 1, 3, type);
    params.negative = tflite_double(1431655936, -3, 3, type);
    const Tensor x = random_codes(type, {3, 200}, 5);
    Events events;
    const Tensor y = run_everywhere(LeakyRelu(params), {&x}, &events);
    CHECK(events.saturated > 0);
    for (int64_t i = 0; i < y.numel(); ++i) {
      const int64_t v = x.int_at(i) - params.zero_point;
      Events ignored;
      REQUIRE(y.int_at(i) == (v >= 0 ? params.positive : params.negative).apply(v, 0, ignored));
    }
  }
}

TEST_CASE("leaky_relu: an undefined code is reported only where it occurs") {
  LeakyReluParams params;
  params.positive = tflite_double(1073741824, 1, 0, kInt8);
  StepProgram to_error;
  to_error.steps = {
      {.kind = StepKind::resize, .a = {}, .b = {}, .type = {4, true}, .overflow = Overflow::error}};
  params.negative = Requantizer(to_error, {}, kInt8);
  const Tensor fine = tensor<int8_t>({1, 3}, {-8, 0, 127});
  CHECK(ints(run_everywhere(LeakyRelu(params), {&fine})) == std::vector<int64_t>{-8, 0, 127});
  const Tensor bad = tensor<int8_t>({1, 3}, {-8, -9, 127});
  CHECK(error_of([&] { run(LeakyRelu(params), {&bad}, {}); }, "int4") == ErrorCode::bad_value);
}

TEST_CASE("leaky_relu: refuses programs that do not fit together") {
  LeakyReluParams params;
  params.positive = tflite_double(1073741824, 1, 0, kInt8);
  params.negative = tflite_double(1073741824, 0, 0, kInt16);
  CHECK(error_of([&] { LeakyRelu{params}; }, "leaky_relu negative: a program to int16") ==
        ErrorCode::bad_value);
  params.negative = per_channel(kInt8);
  CHECK(error_of([&] { LeakyRelu{params}; }, "2 channels") == ErrorCode::bad_value);
  params.negative = params.positive;
  params.zero_point = 128;
  CHECK(error_of([&] { LeakyRelu{params}; }, "zero_point: 128; expected -128..127") ==
        ErrorCode::bad_value);
  params.input_type = kInt32;
  CHECK(error_of([&] { LeakyRelu{params}; }, "at most 16 bits") == ErrorCode::unsupported);
}

}  // namespace facsim::sim::test
