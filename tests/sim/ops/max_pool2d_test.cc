// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/max_pool2d.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

/// By definition: every tap of every output, skipping those outside the image.
int64_t expected_max(const MaxPool2dParams& p, const Tensor& x, int64_t n, int64_t oh, int64_t ow,
                     int64_t c) {
  const int64_t height = x.shape()[1], width = x.shape()[2], channels = x.shape()[3];
  int64_t largest = p.type.min();
  for (int64_t kh = 0; kh < p.window.kernel[0]; ++kh) {
    for (int64_t kw = 0; kw < p.window.kernel[1]; ++kw) {
      const int64_t h = oh * p.window.stride[0] + kh * p.window.dilation[0] - p.window.padding.top;
      const int64_t w = ow * p.window.stride[1] + kw * p.window.dilation[1] - p.window.padding.left;
      if (h < 0 || h >= height || w < 0 || w >= width) continue;
      largest = std::max(largest, x.int_at(((n * height + h) * width + w) * channels + c));
    }
  }
  return std::min(std::max(largest, p.clamp_min), p.clamp_max);
}

void check_pool(const MaxPool2dParams& p, const Shape& shape, uint64_t seed) {
  CAPTURE(to_string(shape));
  const Tensor x = random_codes(p.type, shape, seed);
  Events events;
  const Tensor y = run_everywhere(MaxPool2d(p), {&x}, &events);
  CHECK(events == Events{});
  int64_t i = 0;
  for (int64_t n = 0; n < y.shape()[0]; ++n) {
    for (int64_t oh = 0; oh < y.shape()[1]; ++oh) {
      for (int64_t ow = 0; ow < y.shape()[2]; ++ow) {
        for (int64_t c = 0; c < y.shape()[3]; ++c, ++i) {
          REQUIRE(y.int_at(i) == expected_max(p, x, n, oh, ow, c));
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("max_pool2d: every geometry equals the definition") {
  struct Case {
    const char* reason;
    Window2d window;
    Shape shape;
  };
  const Case cases[] = {
      {"2x2 stride 2", {{2, 2}, {2, 2}, {1, 1}, {}}, {2, 6, 8, 3}},
      {"odd extent: last row and column unused", {{2, 2}, {2, 2}, {1, 1}, {}}, {1, 5, 7, 17}},
      {"3x3 padded: corners see 4 taps", {{3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}}, {2, 7, 6, 4}},
      {"lopsided padding", {{3, 2}, {1, 1}, {1, 1}, {2, 1, 0, 0}}, {1, 4, 4, 2}},
      {"dilated taps", {{2, 3}, {1, 2}, {2, 2}, {1, 1, 1, 1}}, {1, 6, 9, 5}},
      {"window is the image", {{4, 4}, {1, 1}, {1, 1}, {}}, {3, 4, 4, 33}},
      {"1x1", {{1, 1}, {1, 1}, {1, 1}, {}}, {1, 3, 3, 1}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reason);
    MaxPool2dParams p;
    p.window = c.window;
    check_pool(p, c.shape, 31);
    p.type = kUint8;
    p.clamp_min = 10;
    p.clamp_max = 200;
    check_pool(p, c.shape, 32);
    p.type = kInt16;
    p.clamp_min = -32768;
    p.clamp_max = 32767;
    check_pool(p, c.shape, 33);
  }
}

TEST_CASE("max_pool2d: refuses windows without an element of the image, and bad parameters") {
  MaxPool2dParams p;
  p.window = {{2, 2}, {2, 2}, {1, 1}, {2, 0, 0, 0}};
  const Tensor x = random_codes(kInt8, {1, 4, 4, 1}, 1);
  CHECK(error_of([&] { run(MaxPool2d(p), {&x}, {}); }, "padding only") ==
        ErrorCode::shape_mismatch);
  p.window = {{5, 5}, {1, 1}, {1, 1}, {}};
  CHECK(error_of([&] { run(MaxPool2d(p), {&x}, {}); }, "") == ErrorCode::shape_mismatch);
  p.window = {{0, 2}, {1, 1}, {1, 1}, {}};
  CHECK(error_of([&] { MaxPool2d{p}; }, "max_pool2d kernel: 0") == ErrorCode::bad_value);
  p.window = {{2, 2}, {1, 0}, {1, 1}, {}};
  CHECK(error_of([&] { MaxPool2d{p}; }, "max_pool2d stride: 0") == ErrorCode::bad_value);
  p.window = {{2, 2}, {1, 1}, {1, 1}, {}};
  p.clamp_max = 128;
  CHECK(error_of([&] { MaxPool2d{p}; }, "clamp") == ErrorCode::bad_value);
  p.clamp_max = 127;
  const Tensor flat = random_codes(kInt8, {1, 16}, 1);
  CHECK(error_of([&] { run(MaxPool2d(p), {&flat}, {}); }, "(N, H, W, C)") ==
        ErrorCode::shape_mismatch);
}

}  // namespace facsim::sim::test
