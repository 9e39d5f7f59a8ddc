// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/prelu.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/activation_tester.h"
#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

PreluParams recorded(IntType type, int64_t negative_multiplier) {
  PreluParams params;
  params.input_type = type;
  params.positive = tflite_double(1073741824, 1, 0, type);
  params.negative = tflite_double(negative_multiplier, -6, 0, type);
  return params;
}

}  // namespace

TEST_CASE("prelu: int8 codes with an alpha per channel give TFLite Micro's results") {
  const Tensor x =
      tensor<int8_t>({2, 2, 3}, {0, 0, 0, 64, 64, 64, -127, -127, -127, -32, -32, -32});
  const Tensor alpha = tensor<int8_t>({1, 1, 3}, {0, 64, -64});
  CHECK(ints(run_everywhere(Prelu(recorded(kInt8, 1077952640)), {&x, &alpha})) ==
        std::vector<int64_t>{0, 0, 0, 64, 64, 64, 0, -64, 64, 0, -16, 16});
}

TEST_CASE("prelu: each sign takes its program, alpha broadcasts from the right") {
  struct Case {
    IntType x, alpha;
    Shape alpha_shape;
  };
  for (const Case& c : {Case{kInt8, kInt8, {1, 1, 7}}, Case{kUint8, kUint8, {1}},
                        Case{kInt16, kInt8, {5, 7}}, Case{kInt8, kInt8, {3, 5, 7}},
                        Case{kInt16, kInt16, {1, 5, 1}}, Case{{12, true}, {12, true}, {1, 1, 7}}}) {
    PreluParams params = recorded(c.x, 1500000001);
    params.alpha_type = c.alpha;
    params.positive = tflite_double(1900000001, 1, 0, c.x);
    params.zero_point = c.x.min() + 77;
    params.alpha_zero_point = c.alpha.max() - 5;
    const Tensor x = random_codes(c.x, {3, 5, 7}, 11);
    const Tensor alpha = random_codes(c.alpha, c.alpha_shape, 12);
    Events events;
    const Tensor y = run_everywhere(Prelu(params), {&x, &alpha}, &events);
    CHECK(events.saturated > 0);
    for (int64_t i = 0; i < y.numel(); ++i) {
      const int64_t row = i / 7 % 5, column = i % 7;
      int64_t index = column;
      if (c.alpha_shape == Shape{1}) index = 0;
      if (c.alpha_shape == Shape{5, 7}) index = row * 7 + column;
      if (c.alpha_shape == Shape{3, 5, 7}) index = i;
      if (c.alpha_shape == Shape{1, 5, 1}) index = row;
      const int64_t v = x.int_at(i) - params.zero_point;
      const int64_t a = alpha.int_at(index) - params.alpha_zero_point;
      Events ignored;
      REQUIRE(y.int_at(i) == (v >= 0 ? params.positive.apply(v, 0, ignored)
                                     : params.negative.apply(v * a, 0, ignored)));
    }
  }
}

TEST_CASE("prelu: refuses shapes, types and zero points") {
  const Prelu op(recorded(kInt8, 1077952640));
  const Shape x{1, 2, 3}, larger{4, 2, 3}, other{2};
  CHECK(error_of(
            [&] {
              op.output_shape(std::vector<Shape>{x, larger});
            },
            "alpha") == ErrorCode::shape_mismatch);
  CHECK(error_of(
            [&] {
              op.output_shape(std::vector<Shape>{x, other});
            },
            "broadcast") == ErrorCode::shape_mismatch);
  PreluParams params = recorded(kInt8, 1077952640);
  params.alpha_zero_point = 128;
  CHECK(error_of([&] { Prelu{params}; }, "zero_point: 128") == ErrorCode::bad_value);
  params = recorded(kInt8, 1077952640);
  params.input_type = kInt32;
  CHECK(error_of([&] { Prelu{params}; }, "at most 16 bits") == ErrorCode::unsupported);
  params = recorded(kInt8, 1077952640);
  params.negative = tflite_double(1073741824, 0, 0, kInt16);
  CHECK(error_of([&] { Prelu{params}; }, "prelu negative: a program to int16") ==
        ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
