// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/resize.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

using Mode = ResizeParams::Mode;

/// Real coordinate of an output index.
double coordinate(const ResizeParams& p, int64_t i, int64_t in, int64_t out) {
  if (p.align_corners && out > 1) {
    return static_cast<double>(i) * static_cast<double>(in - 1) / static_cast<double>(out - 1);
  }
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  return p.half_pixel_centers ? (static_cast<double>(i) + 0.5) * scale - 0.5
                              : static_cast<double>(i) * scale;
}

}  // namespace

TEST_CASE("resize: nearest takes the codes TFLite takes") {
  const Tensor x = tensor<int8_t>({1, 1, 4, 1}, {10, 20, 30, 40});
  struct Case {
    bool align_corners, half_pixel_centers;
    int64_t width;
    std::vector<int64_t> expected;
  };
  const Case cases[] = {
      {false, false, 8, {10, 10, 20, 20, 30, 30, 40, 40}},
      {false, false, 3, {10, 20, 30}},  // 0, 1.33, 2.67
      {true, false, 3, {10, 30, 40}},   // 0, 1.5 (away from zero: 2), 3
      {true, false, 1, {10}},
      {false, true, 2, {20, 40}},                  // 1, 3
      {false, true, 6, {10, 20, 20, 30, 40, 40}},  // 0.33 1 1.67 2.33 3 3.67
  };
  for (const Case& c : cases) {
    CAPTURE(c.width);
    const Resize op({Mode::nearest, {1, c.width}, c.align_corners, c.half_pixel_centers, kInt8});
    CHECK(ints(run_everywhere(op, {&x})) == c.expected);
  }
}

TEST_CASE("resize: bilinear of known images") {
  const Tensor x = tensor<int8_t>({1, 2, 2, 1}, {0, 100, -100, 50});
  // Twice the size: weights of 0 and 1/2, halves away from zero.
  const Resize plain({Mode::bilinear, {4, 4}, false, false, kInt8});
  CHECK(ints(run_everywhere(plain, {&x})) == std::vector<int64_t>{0, 50, 100, 100, -50, 13, 75, 75,
                                                                  -100, -25, 50, 50, -100, -25, 50,
                                                                  50});
  const Resize corners({Mode::bilinear, {3, 3}, true, false, kInt8});
  CHECK(ints(run_everywhere(corners, {&x})) ==
        std::vector<int64_t>{0, 50, 100, -50, 13, 75, -100, -25, 50});
  // half_pixel_centers: 1/4 and 3/4, the border pixels alone outside.
  const Tensor row = tensor<int8_t>({1, 1, 2, 1}, {0, 100});
  const Resize half({Mode::bilinear, {1, 4}, false, true, kInt8});
  CHECK(ints(run_everywhere(half, {&row})) == std::vector<int64_t>{0, 25, 75, 100});
}

TEST_CASE("resize: bilinear stays within the positions' grid of real interpolation") {
  for (const IntType type : {kInt8, kUint8, kInt16}) {
    const Tensor x = random_codes(type, {2, 5, 7, 3}, 8);
    for (const auto& [align, half] : {std::pair{false, false}, {true, false}, {false, true}}) {
      for (const std::array<int64_t, 2>& size : {std::array<int64_t, 2>{9, 4}, {5, 7}, {2, 15}}) {
        const ResizeParams params{Mode::bilinear, size, align, half, type};
        const Tensor y = run_everywhere(Resize(params), {&x});
        const auto span = static_cast<double>(type.max() - type.min());
        for (int64_t i = 0; i < y.numel(); ++i) {
          const int64_t c = i % 3, ow = i / 3 % size[1], oh = i / 3 / size[1] % size[0];
          const int64_t n = i / 3 / size[1] / size[0];
          const double h = std::clamp(coordinate(params, oh, 5, size[0]), 0.0, 4.0);
          const double w = std::clamp(coordinate(params, ow, 7, size[1]), 0.0, 6.0);
          const auto at = [&](double row, double column) {
            const int64_t r = std::min<int64_t>(static_cast<int64_t>(row), 4);
            const int64_t k = std::min<int64_t>(static_cast<int64_t>(column), 6);
            return static_cast<double>(x.int_at(((n * 5 + r) * 7 + k) * 3 + c));
          };
          const double dh = h - std::floor(h), dw = w - std::floor(w);
          const double real = (1 - dh) * ((1 - dw) * at(h, w) + dw * at(h, std::floor(w) + 1)) +
                              dh * ((1 - dw) * at(std::floor(h) + 1, w) +
                                    dw * at(std::floor(h) + 1, std::floor(w) + 1));
          // A scale is off by at most 1/2048, a position by index * 1/2048 + 1/1024.
          const double position_error = (static_cast<double>(oh + ow) * 0.5 + 2.0) / 1024.0 * span;
          REQUIRE(std::abs(static_cast<double>(y.int_at(i)) - real) <= position_error + 0.5);
        }
      }
    }
  }
}

TEST_CASE("resize: never reads outside the image, however far it is enlarged") {
  const Tensor x = tensor<int8_t>({1, 1, 1, 1}, {-77});
  for (const bool half : {false, true}) {
    const Resize op({Mode::bilinear, {1, 3001}, false, half, kInt8});
    for (const int64_t code : ints(run(op, {&x}, {}))) REQUIRE(code == -77);
  }
}

TEST_CASE("resize: refuses sizes, modes and types that do not exist") {
  CHECK(error_of(
            [] {
              Resize({Mode::nearest, {0, 1}, false, false, kInt8});
            },
            "1..") == ErrorCode::bad_value);
  CHECK(error_of(
            [] {
              Resize({Mode::bilinear, {1, 1}, true, true, kInt8});
            },
            "one of them") == ErrorCode::bad_value);
  CHECK(error_of(
            [] {
              Resize({Mode::nearest, {1, 1}, false, false, {64, true}});
            },
            "64 bits") == ErrorCode::unsupported);
  CHECK(error_of(
            [] {
              Resize({Mode::bilinear, {1, 1}, false, false, kInt32});
            },
            "resize type: 32 bits; expected at most 16") == ErrorCode::unsupported);
  const Tensor x = random_codes(kInt8, {2, 2}, 1);
  const Resize op({Mode::nearest, {1, 1}, false, false, kInt8});
  CHECK(error_of([&] { run(op, {&x}, {}); }, "(N, H, W, C)") == ErrorCode::shape_mismatch);
}

}  // namespace facsim::sim::test
