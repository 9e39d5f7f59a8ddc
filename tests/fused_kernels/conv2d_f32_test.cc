// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/conv2d_f32.h"

#include "tests/fused_kernels/kernel_tester.h"

namespace facsim::fused::kernels {
namespace {

sim::Window2d window(int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  return {{kernel, kernel},
          {stride, stride},
          {dilation, dilation},
          {padding, padding, padding, padding}};
}

const ConvCase kForwardCases[] = {
    // n ih iw ic oc groups window
    {{3, 7, 9, 1, 32, 1, window(3, 1, 1, 1)}, "first layer: one input channel"},
    {{2, 6, 5, 32, 64, 1, window(3, 1, 1, 1)}, "whole blocks, odd rows"},
    {{2, 8, 8, 16, 24, 1, window(3, 2, 1, 1)}, "stride 2, half a block"},
    {{2, 7, 7, 5, 7, 1, window(3, 2, 1, 1)}, "stride 2 on odd extents, channels off every vector"},
    {{3, 5, 5, 8, 33, 1, window(1, 1, 0, 1)}, "pointwise, one channel over a block"},
    {{2, 8, 6, 8, 16, 1, window(1, 2, 0, 1)}, "pointwise stride 2: pixels without gradient"},
    {{1, 9, 9, 4, 17, 1, window(5, 3, 2, 1)}, "stride 3: phases with different taps"},
    {{2, 9, 8, 6, 10, 1, window(3, 1, 2, 2)}, "dilation 2"},
    {{1, 11, 10, 3, 5, 1, window(3, 2, 2, 2)}, "dilation and stride: phases without taps"},
    {{1, 4, 4, 3, 4, 1, window(2, 3, 0, 1)}, "stride beyond the kernel"},
    {{2, 6, 7, 8, 12, 4, window(3, 1, 1, 1)}, "groups"},
    {{2, 6, 7, 40, 80, 2, window(3, 2, 1, 1)}, "groups wider than a block"},
    {{2, 7, 6, 24, 24, 24, window(3, 1, 1, 1)}, "depthwise"},
    {{2, 7, 8, 19, 19, 19, window(3, 2, 1, 1)}, "depthwise stride 2, channels off every vector"},
    {{1, 8, 9, 4, 4, 4, window(5, 1, 4, 2)}, "depthwise 5x5 dilation 2"},
    {{2, 5, 6, 4, 8, 4, window(3, 1, 1, 1)}, "depthwise with multiplier 2"},
    {{1, 1, 1, 3, 3, 1, window(1, 1, 0, 1)}, "one pixel"},
    {{1, 2, 2, 2, 3, 1, window(3, 1, 2, 1)}, "padding wider than the image needs"},
    {{2, 5, 4, 3, 9, 1, {{2, 3}, {1, 2}, {1, 1}, {1, 0, 0, 2}}}, "uneven window and padding"},
    {{2, 13, 3, 4, 6, 1, {{5, 1}, {4, 1}, {2, 1}, {3, 0, 1, 0}}}, "column kernel"},
    {{3, 3, 4, 172, 170, 1, window(3, 1, 1, 1)}, "more weights than partial sums are kept of"},
    {{2, 5, 4, 300, 100, 1, window(3, 2, 1, 1)}, "the same with stride 2"},
    {{5, 6, 5, 530, 500, 1, window(1, 1, 0, 1)}, "the same, pointwise"},
};

TEST_CASE("conv2d_f32: passes equal their definition, with the same bits on every target") {
  for (const ConvCase& c : kForwardCases) {
    CAPTURE(c.reason);
    const ConvTester tester(c.shape);
    const ConvResult expected = tester.run(nullptr);
    CHECK(tester.error(expected) < 2e-6);
    for_each_target([&](const char* target) {
      CAPTURE(target);
      const ConvResult got = tester.run(nullptr);
      CHECK(same_bits(got.y, expected.y));
      CHECK(same_bits(got.dx, expected.dx));
      CHECK(same_bits(got.dw, expected.dw));
    });
  }
}

TEST_CASE("conv2d_f32: same bits for any number of threads") {
  for (const Conv2dShape& shape : {Conv2dShape{37, 9, 8, 6, 34, 1, window(3, 2, 1, 1)},
                                   Conv2dShape{9, 4, 3, 290, 110, 1, window(3, 1, 1, 1)}}) {
    CAPTURE(shape.ic);
    const ConvTester tester(shape);
    const ConvResult expected = tester.run(nullptr);
    for (const int threads : {1, 2, 3, 4}) {
      CAPTURE(threads);
      sim::ThreadPool pool(threads);
      const ConvResult got = tester.run(&pool);
      CHECK(same_bits(got.y, expected.y));
      CHECK(same_bits(got.dx, expected.dx));
      CHECK(same_bits(got.dw, expected.dw));
    }
  }
}

TEST_CASE("conv2d_f32: emulated multiply-add rounds once") {
  // 1x1, two inputs: fma(b, b', fma(a, a', 0)). The products cancel to what only a single rounding
  // keeps, or tie in double.
  struct Case {
    float a, a2, b, b2;
    const char* reason;
  };
  const Case cases[] = {
      {1, -1, 1 + 0x1p-23f, 1 - 0x1p-23f, "cancels to -2^-46"},
      {1, 1, 0x1p-24f, 1, "tie in float, exact"},
      {1, 1, 0x1p-24f + 0x1p-47f, 1 + 0x1p-20f, "just above a tie"},
      {1, 0x1p60f, -(1 - 0x1p-24f), 0x1p-3f, "far apart: sticky below double"},
      {0x1p-70f, 0x1p-70f, 0x1.8p-75f, 0x1p-74f, "subnormal result"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reason);
    const float x[] = {c.a, c.b}, w[] = {c.a2, c.b2};
    const float expected = std::fma(c.b, c.b2, c.a * c.a2);
    for_each_target([&](const char* target) {
      CAPTURE(target);
      float y = 7;
      conv2d_forward({.ic = 2}, x, w, &y, nullptr);
      CHECK(y == expected);
    });
  }
}

}  // namespace
}  // namespace facsim::fused::kernels
