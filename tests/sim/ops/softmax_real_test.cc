// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/softmax_real.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

TEST_CASE("softmax_real: equal codes share, far ones get nothing") {
  SoftmaxRealParams params;
  params.scale_times_beta = 0.5f;
  const Tensor x = tensor<int8_t>({3, 4}, {5, 5, 5, 5, 127, -128, 127, -128, 0, -100, -100, -100});
  // 256 / 4 = 64, 256 / 2 = 128, and 256 itself saturates.
  CHECK(ints(run_everywhere(SoftmaxReal(params), {&x})) ==
        std::vector<int64_t>{-64, -64, -64, -64, 0, -128, 0, -128, 127, -128, -128, -128});
}

TEST_CASE("softmax_real: half a step goes up, for int8 and int16 outputs") {
  SoftmaxRealParams params;
  params.scale_times_beta = 0;
  const Tensor x(DType::int8, Shape{1, 512});  // each 1 / 512, half a step of 1 / 256
  CHECK(run_everywhere(SoftmaxReal(params), {&x}).int_at(0) == -127);
  params.output_type = kInt16;
  params.output_scale = 0x1p-16f;
  params.output_zero_point = -32768;
  CHECK(run_everywhere(SoftmaxReal(params), {&x}).int_at(0) == -32768 + 128);
}

TEST_CASE("softmax_real: the formula in the order of the row") {
  SoftmaxRealParams params;
  params.scale_times_beta = 0.0831f;
  const Tensor x = random_codes(kInt8, {7, 33}, 91);
  const Tensor y = run_everywhere(SoftmaxReal(params), {&x});
  for (int64_t r = 0; r < 7; ++r) {
    int64_t max = -128;
    for (int64_t i = 0; i < 33; ++i) max = std::max(max, x.int_at(r * 33 + i));
    const auto e = [&](int64_t i) {
      const auto d = static_cast<float>(max - x.int_at(r * 33 + i));
      return static_cast<float>(std::exp(static_cast<double>(-0.0831f * d)));
    };
    float sum = 0;
    for (int64_t i = 0; i < 33; ++i) sum += e(i);
    for (int64_t i = 0; i < 33; ++i) {
      const float v = e(i) * (1.0f / (sum * 0x1p-8f));
      REQUIRE(y.int_at(r * 33 + i) == std::min<int64_t>(std::lround(v) - 128, 127));
    }
  }
}

TEST_CASE("softmax_real: refuses types and values it has no rule for") {
  SoftmaxRealParams params;
  params.input_type = kUint8;
  CHECK(error_of([&] { SoftmaxReal{params}; }, "uint8 to int8") == ErrorCode::unsupported);
  params = {};
  params.scale_times_beta = -1;
  CHECK(error_of([&] { SoftmaxReal{params}; }, "scale_times_beta: -1") == ErrorCode::bad_value);
  params.scale_times_beta = std::numeric_limits<float>::infinity();
  CHECK(error_of([&] { SoftmaxReal{params}; }, "finite") == ErrorCode::bad_value);
  params = {};
  params.output_scale = 0;
  CHECK(error_of([&] { SoftmaxReal{params}; }, "output_scale: 0") == ErrorCode::bad_value);
  params = {};
  params.output_zero_point = 200;
  CHECK(error_of([&] { SoftmaxReal{params}; }, "output_zero_point: 200") == ErrorCode::bad_value);
  CHECK(error_of(
            [&] {
              SoftmaxReal({}).output_shape(std::vector<Shape>{Shape{1, 0}});
            },
            "last axis") == ErrorCode::shape_mismatch);
}

}  // namespace facsim::sim::test
