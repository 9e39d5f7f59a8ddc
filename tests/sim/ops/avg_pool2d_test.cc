// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/avg_pool2d.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

/// acc / count half away from zero, saturated: TFLite's average, (acc ± count/2) / count
/// truncating.
Requantizer divide_by_count(int64_t counts, IntType type) {
  StepProgram program;
  program.steps = {
      {.kind = StepKind::div,
       .a = Operand::arg("count"),
       .b = {},
       .rounding = Rounding::half_away_from_zero},
      {.kind = StepKind::resize, .a = {}, .b = {}, .type = type, .overflow = Overflow::saturate}};
  Arguments arguments;
  for (int64_t n = 1; n <= counts; ++n) arguments.integers["count"].push_back(n);
  return Requantizer(program, arguments, type);
}

/// TFLite's own formula.
int64_t truncating_average(int64_t sum, int64_t count) {
  return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

struct WindowSum {
  int64_t sum = 0, inside = 0;
};
WindowSum sum_of(const Window2d& window, const Tensor& x, int64_t n, int64_t oh, int64_t ow,
                 int64_t c) {
  WindowSum result;
  const int64_t height = x.shape()[1], width = x.shape()[2], channels = x.shape()[3];
  for (int64_t kh = 0; kh < window.kernel[0]; ++kh) {
    for (int64_t kw = 0; kw < window.kernel[1]; ++kw) {
      const int64_t h = oh * window.stride[0] + kh - window.padding.top;
      const int64_t w = ow * window.stride[1] + kw - window.padding.left;
      if (h < 0 || h >= height || w < 0 || w >= width) continue;
      result.sum += x.int_at(((n * height + h) * width + w) * channels + c);
      ++result.inside;
    }
  }
  return result;
}

template <class Expected>
void check_each(const Tensor& y, const Expected& expected) {
  int64_t i = 0;
  for (int64_t n = 0; n < y.shape()[0]; ++n) {
    for (int64_t oh = 0; oh < y.shape()[1]; ++oh) {
      for (int64_t ow = 0; ow < y.shape()[2]; ++ow) {
        for (int64_t c = 0; c < y.shape()[3]; ++c, ++i) {
          REQUIRE(y.int_at(i) == expected(n, oh, ow, c));
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("avg_pool2d: the divisor is the number of taps inside the image (TFLite's average)") {
  AvgPool2dParams p;
  p.window = {{3, 2}, {2, 1}, {1, 1}, {1, 1, 1, 0}};
  p.requantize = divide_by_count(6, kInt8);
  const Tensor x = random_codes(kInt8, {2, 5, 6, 3}, 41);
  const Tensor y = run_everywhere(AvgPool2d(p), {&x});
  check_each(y, [&](int64_t n, int64_t oh, int64_t ow, int64_t c) {
    const WindowSum s = sum_of(p.window, x, n, oh, ow, c);
    return truncating_average(s.sum, s.inside);
  });
}

TEST_CASE("avg_pool2d: count_include_pad divides by the whole window, pads hold their code") {
  AvgPool2dParams p;
  p.window = {{2, 2}, {1, 1}, {1, 1}, {1, 1, 0, 0}};
  p.input_zero_point = 5;
  p.count_include_pad = true;
  p.padding_value = -3;
  p.requantize = divide_by_count(4, kInt16);
  const Tensor x = random_codes(kInt8, {1, 3, 4, 2}, 42);
  const Tensor y = run_everywhere(AvgPool2d(p), {&x});
  check_each(y, [&](int64_t n, int64_t oh, int64_t ow, int64_t c) {
    const WindowSum s = sum_of(p.window, x, n, oh, ow, c);
    return truncating_average(s.sum + (4 - s.inside) * -3 - 4 * 5, 4);
  });
}

TEST_CASE("avg_pool2d: global pools the image of any extent, with one multiplier") {
  AvgPool2dParams p;
  p.global = true;
  p.input_type = kUint8;
  p.input_zero_point = 128;
  StepProgram shift;
  shift.steps = {
      {.kind = StepKind::shr, .a = Operand::constant(4), .b = {}, .rounding = Rounding::floor},
      {.kind = StepKind::resize, .a = {}, .b = {}, .type = kInt8, .overflow = Overflow::saturate}};
  p.requantize = Requantizer(shift, {}, kInt8);
  const AvgPool2d op(p);
  for (const Shape& shape : {Shape{2, 4, 4, 5}, Shape{1, 7, 3, 2}, Shape{3, 1, 1, 1}}) {
    const Tensor x = random_codes(kUint8, shape, 43);
    Window2d whole;
    whole.kernel = {shape[1], shape[2]};
    const Tensor y = run_everywhere(op, {&x});
    CHECK(y.shape() == Shape{shape[0], 1, 1, shape[3]});
    check_each(y, [&](int64_t n, int64_t oh, int64_t ow, int64_t c) {
      const WindowSum s = sum_of(whole, x, n, oh, ow, c);
      const int64_t acc = s.sum - 128 * s.inside;
      return std::clamp<int64_t>(acc >> 4, -128, 127);
    });
  }
}

TEST_CASE("avg_pool2d: the accumulator is explained, saturation is counted") {
  AvgPool2dParams p;
  p.window = {{2, 2}, {2, 2}, {1, 1}, {}};
  StepProgram plain;
  plain.steps = {
      {.kind = StepKind::resize, .a = {}, .b = {}, .type = kInt8, .overflow = Overflow::saturate}};
  p.requantize = Requantizer(plain, {}, kInt8);
  const AvgPool2d op(p);
  const Tensor x = tensor<int8_t>({1, 2, 4, 1}, {100, 27, 1, 2, 1, 0, 3, 4});
  Events events;
  CHECK(ints(run_everywhere(op, {&x}, &events)) == std::vector<int64_t>{127, 10});
  CHECK(events == Events{1, 0, 0});
  const std::vector<const Tensor*> inputs = {&x};
  CHECK(op.explain(inputs, 0).accumulator == 128);
}

TEST_CASE("avg_pool2d: refuses bad parameters by name") {
  AvgPool2dParams p;
  p.window = {{2, 2}, {2, 2}, {1, 1}, {}};
  p.requantize = divide_by_count(3, kInt8);
  const Tensor x = random_codes(kInt8, {1, 4, 4, 1}, 1);
  CHECK(error_of([&] { run(AvgPool2d(p), {&x}, {}); }, "1 or 4") == ErrorCode::shape_mismatch);
  p.requantize = divide_by_count(4, kInt8);
  p.input_zero_point = 128;
  CHECK(error_of([&] { AvgPool2d{p}; }, "input_zero_point: 128") == ErrorCode::bad_value);
  p.input_zero_point = 0;
  p.padding_value = -129;
  CHECK(error_of([&] { AvgPool2d{p}; }, "padding_value: -129") == ErrorCode::bad_value);
  p.padding_value = 0;
  StepProgram real;
  real.input_is_real = true;
  real.steps = {{.kind = StepKind::round, .a = {}, .b = {}}};
  p.requantize = Requantizer(real, {}, kInt8);
  CHECK(error_of([&] { AvgPool2d{p}; }, "float32") == ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
