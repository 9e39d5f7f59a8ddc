// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/softmax_scaled.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

TEST_CASE("softmax_scaled: equal codes share, ties go to even, one of uint8 saturates") {
  SoftmaxScaledParams params;
  params.input_scale = 0.5f;
  const Tensor x = tensor<uint8_t>({3, 4}, {5, 5, 5, 5, 255, 0, 255, 0, 200, 20, 20, 20});
  CHECK(ints(run_everywhere(SoftmaxScaled(params), {&x})) ==
        std::vector<int64_t>{64, 64, 64, 64, 128, 0, 128, 0, 255, 0, 0, 0});
  const Tensor wide(DType::uint8, Shape{1, 512});  // each 1 / 512: half a step
  CHECK(run_everywhere(SoftmaxScaled(params), {&wide}).int_at(0) == 0);
}

TEST_CASE("softmax_scaled: int8 saturates too") {
  SoftmaxScaledParams params;
  params.type = kInt8;
  params.input_scale = 0.5f;
  params.output_zero_point = -128;
  const Tensor x = tensor<int8_t>({2, 2}, {127, -128, 3, 3});
  CHECK(ints(run_everywhere(SoftmaxScaled(params), {&x})) == std::vector<int64_t>{127, -128, 0, 0});
  params.output_zero_point = 100;
  CHECK(ints(run_everywhere(SoftmaxScaled(params), {&x})) ==
        std::vector<int64_t>{127, 100, 127, 127});
}

TEST_CASE("softmax_scaled: the formula in the order of the row") {
  SoftmaxScaledParams params;
  params.input_scale = 0.0831f;
  params.output_scale = 1.0f / 250;
  const Tensor x = random_codes(kUint8, {7, 33}, 91);
  const Tensor y = run_everywhere(SoftmaxScaled(params), {&x});
  const double scale = 0.0831f;
  const double shift =
      (std::log(static_cast<double>(std::numeric_limits<float>::max() / 33.0f)) - 5.0) / scale;
  for (int64_t r = 0; r < 7; ++r) {
    int64_t max = 0;
    for (int64_t i = 0; i < 33; ++i) max = std::max(max, x.int_at(r * 33 + i));
    const auto e = [&](int64_t i) {
      const auto d = static_cast<double>(max - x.int_at(r * 33 + i));
      return static_cast<float>(std::exp((shift - d) * scale));
    };
    float sum = 0;
    for (int64_t i = 0; i < 33; ++i) sum += e(i);
    for (int64_t i = 0; i < 33; ++i) {
      const float v = e(i) * std::floor(1.0f / params.output_scale) / sum;
      REQUIRE(y.int_at(r * 33 + i) == static_cast<int64_t>(std::nearbyint(v)));
    }
  }
}

TEST_CASE("softmax_scaled: refuses types and values it has no rule for") {
  SoftmaxScaledParams params;
  params.type = kInt16;
  CHECK(error_of([&] { SoftmaxScaled{params}; }, "int16") == ErrorCode::unsupported);
  params = {};
  params.input_scale = 0;
  CHECK(error_of([&] { SoftmaxScaled{params}; }, "input_scale: 0") == ErrorCode::bad_value);
  params = {};
  params.output_scale = std::numeric_limits<float>::infinity();
  CHECK(error_of([&] { SoftmaxScaled{params}; }, "output_scale: inf") == ErrorCode::bad_value);
  params = {};
  params.output_zero_point = -1;
  CHECK(error_of([&] { SoftmaxScaled{params}; }, "output_zero_point: -1") == ErrorCode::bad_value);
  CHECK(error_of(
            [&] {
              SoftmaxScaled({}).output_shape(std::vector<Shape>{Shape{1, 0}});
            },
            "last axis") == ErrorCode::shape_mismatch);
  // Two codes: T[0] * 297 is above float32's largest number, times 296 it is not.
  params = {};
  params.output_scale = 1 / 296.5f;
  CHECK(SoftmaxScaled(params).output_shape(std::vector<Shape>{Shape{1, 2}}) == Shape{1, 2});
  params.output_scale = 1 / 297.5f;
  CHECK(error_of(
            [&] {
              SoftmaxScaled(params).output_shape(std::vector<Shape>{Shape{1, 2}});
            },
            "297 steps of 1 over an axis of 2") == ErrorCode::unsupported);
}

}  // namespace facsim::sim::test
