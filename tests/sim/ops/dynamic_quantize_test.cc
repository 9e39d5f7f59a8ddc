// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/dynamic_quantize.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

DynamicRange range_of_values(const std::vector<float>& values) { return dynamic_range(values); }

}  // namespace

TEST_CASE("dynamic_quantize: the range is widened to 0, its zero point rounded half to even") {
  struct Case {
    const char* reason;
    std::vector<float> x;
    float scale;
    int64_t zero_point;
  };
  const Case cases[] = {
      {"both signs", {-1, 2}, 3.0f / 255, 85},
      {"only positive: 0 is the lower end", {1, 2}, 2.0f / 255, 0},
      {"only negative: 0 is the upper end", {-3, -1}, 3.0f / 255, 255},
      {"all 0: scale 1", {0, 0}, 1, 0},
      {"tie 127.5 to the even 128", {-127.5f, 127.5f}, 1, 128},
      {"2 / 255 in float32 is above the real one: 127.49999", {-1, 1}, 2.0f / 255, 127},
      {"tie 2.5 to the even 2", {-2.5f, 252.5f}, 1, 2},
      {"one element", {5}, 5.0f / 255, 0},
      {"the sample of the operator's documentation",
       {0, 2, -3, -2.5f, 1.34f, 0.5f},
       0.0196078438f,
       153},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reason);
    const DynamicRange range = range_of_values(c.x);
    CHECK(range.scale == c.scale);
    CHECK(range.zero_point == c.zero_point);
  }
}

TEST_CASE("dynamic_quantize: codes, scale and zero point of one tensor") {
  const Tensor x = tensor<float>({2, 3}, {0, 2, -3, -2.5f, 1.34f, 0.5f});
  CHECK(ints(run_everywhere(DynamicQuantize(), {&x})) ==
        std::vector<int64_t>{153, 255, 0, 26, 221, 179});
  const DynamicQuantize scale(DynamicQuantize::Output::scale);
  CHECK(scale.output_dtype() == DType::float32);
  const Tensor s = run_everywhere(scale, {&x});
  CHECK(s.shape() == Shape{1});
  CHECK(s.data<float>()[0] == 0.0196078438f);
  const Tensor z = run_everywhere(DynamicQuantize(DynamicQuantize::Output::zero_point), {&x});
  CHECK(ints(z) == std::vector<int64_t>{153});
}

TEST_CASE("dynamic_quantize: every code is inside 0..255 and near x (seed 5)") {
  std::mt19937 random(5);
  Tensor x(DType::float32, {4, 5000});
  for (int64_t i = 0; i < x.numel(); ++i) {
    x.data<float>()[i] = static_cast<float>(static_cast<int>(random() % 20001) - 7000) * 0.001f;
  }
  const DynamicRange range = dynamic_range(x.values<float>());
  const Tensor y = run(DynamicQuantize(), {&x}, {});
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double real = range.scale * static_cast<double>(y.int_at(i) - range.zero_point);
    if (std::abs(real - x.data<float>()[i]) > range.scale * 1.01) FAIL("i " << i);
  }
}

TEST_CASE("dynamic_quantize: what has no range is refused with its index") {
  const float infinity = std::numeric_limits<float>::infinity();
  const float largest = std::numeric_limits<float>::max();
  CHECK(error_of([&] { range_of_values({1, NAN}); }, "index 1") == ErrorCode::bad_value);
  CHECK(error_of([&] { range_of_values({infinity}); }, "index 0") == ErrorCode::bad_value);
  CHECK(error_of(
            [&] {
              range_of_values({-largest, largest});
            },
            "scale inf") == ErrorCode::bad_value);
  CHECK(error_of([&] { range_of_values({1e-40f}); }, "normal") == ErrorCode::bad_value);
  const Tensor codes = tensor<int8_t>({1, 1}, {0});
  Tensor out(DType::uint8, {1, 1});
  const std::vector<const Tensor*> inputs = {&codes};
  CHECK_THROWS_AS(DynamicQuantize().run(inputs, out, {}), Error);
}

}  // namespace facsim::sim::test
