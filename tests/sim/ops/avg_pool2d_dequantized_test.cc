// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/avg_pool2d_dequantized.h"

#include <doctest/doctest.h>

#include <cfenv>
#include <cmath>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

AvgPool2dDequantizedParams dequantized_params() {
  AvgPool2dDequantizedParams p;
  p.window = {{3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}};
  p.input_scale = 0.0371f;
  p.output_scale = 0.0293f;
  p.input_zero_point = 117;
  p.output_zero_point = 101;
  return p;
}

/// vectors/FORMAT deq_f32_pool_zp_then_rne, one float32 operation after the other.
int64_t expected(const AvgPool2dDequantizedParams& p, const Tensor& x, int64_t oh, int64_t ow,
                 int64_t c) {
  const int64_t height = x.shape()[1], width = x.shape()[2], channels = x.shape()[3];
  float sum = 0;
  int count = 0;
  for (int64_t h = oh * 2 - 1; h < oh * 2 + 2; ++h) {
    for (int64_t w = ow * 2 - 1; w < ow * 2 + 2; ++w) {
      if (h < 0 || h >= height || w < 0 || w >= width) continue;
      const int64_t code = x.int_at((h * width + w) * channels + c);
      sum += static_cast<float>(code - p.input_zero_point) * p.input_scale;
      ++count;
    }
  }
  const float mean = sum / static_cast<float>(p.count_include_pad ? 9 : count);
  const float code =
      std::nearbyint(mean / p.output_scale + static_cast<float>(p.output_zero_point));
  return static_cast<int64_t>(std::min(std::max(code, 0.0f), 255.0f));
}

}  // namespace

TEST_CASE("avg_pool2d_dequantized: equals the float32 formula, pads counted or not") {
  for (const bool include : {false, true}) {
    AvgPool2dDequantizedParams p = dequantized_params();
    p.count_include_pad = include;
    const Tensor x = random_codes(kUint8, {1, 6, 7, 4}, 51);
    const Tensor y = run_everywhere(AvgPool2dDequantized(p), {&x});
    int64_t i = 0;
    for (int64_t oh = 0; oh < y.shape()[1]; ++oh) {
      for (int64_t ow = 0; ow < y.shape()[2]; ++ow) {
        for (int64_t c = 0; c < 4; ++c, ++i) REQUIRE(y.int_at(i) == expected(p, x, oh, ow, c));
      }
    }
  }
}

TEST_CASE("avg_pool2d_dequantized: saturates at the output type, also from infinite sums") {
  AvgPool2dDequantizedParams p = dequantized_params();
  p.input_scale = 3e38f;
  const Tensor x = tensor<uint8_t>({1, 1, 2, 1}, {255, 0});
  p.window = {{1, 1}, {1, 1}, {1, 1}, {}};
  CHECK(ints(run_everywhere(AvgPool2dDequantized(p), {&x})) == std::vector<int64_t>{255, 0});
}

TEST_CASE("avg_pool2d_dequantized: the same bits in every floating-point mode of the caller") {
  const Tensor x = random_codes(kUint8, {4, 9, 9, 16}, 52);
  const std::vector<int64_t> expected =
      ints(run(AvgPool2dDequantized(dequantized_params()), {&x}, {}));
  for (const int environment : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(environment);
    const std::vector<int64_t> got =
        ints(run(AvgPool2dDequantized(dequantized_params()), {&x}, {}));
    std::fesetround(FE_TONEAREST);
    CHECK(got == expected);
  }
}

TEST_CASE("avg_pool2d_dequantized: refuses bad parameters by name") {
  AvgPool2dDequantizedParams p = dequantized_params();
  p.input_scale = -1;
  CHECK(error_of([&] { AvgPool2dDequantized{p}; }, "input_scale: -1") == ErrorCode::bad_value);
  p = dequantized_params();
  p.output_zero_point = -1;
  CHECK(error_of([&] { AvgPool2dDequantized{p}; }, "output_zero_point: -1") ==
        ErrorCode::bad_value);
  p = dequantized_params();
  p.input_type = kInt32;
  CHECK(error_of([&] { AvgPool2dDequantized{p}; }, "16 bits") == ErrorCode::unsupported);
}

}  // namespace facsim::sim::test
