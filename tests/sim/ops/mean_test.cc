// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/mean.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

MeanParams mean_params(IntType type, std::vector<int> axes, int64_t count) {
  StepProgram program;
  program.steps = {{.kind = StepKind::div,
                    .a = Operand::constant(count),
                    .b = {},
                    .rounding = Rounding::half_away_from_zero}};
  MeanParams params;
  params.input_type = type;
  params.axes = std::move(axes);
  params.count = count;
  params.requantize = Requantizer(program, {}, kInt32);
  return params;
}

}  // namespace

TEST_CASE("mean: over rows and columns, zero point removed") {
  const Tensor x = tensor<int8_t>({1, 2, 2, 2}, {1, 10, 2, 20, 3, 30, 5, 41});
  MeanParams params = mean_params(kInt8, {1, 2}, 4);
  params.input_zero_point = 3;
  const Tensor y = run_everywhere(Mean(params), {&x});
  CHECK(y.shape() == Shape{1, 1, 1, 2});
  CHECK(ints(y) == std::vector<int64_t>{0, 22});  // -1 / 4, 89 / 4
  params.keep_dims = false;
  CHECK(run_everywhere(Mean(params), {&x}).shape() == Shape{1, 2});
}

TEST_CASE("mean: every set of axes equals the definition") {
  const Shape shape{2, 3, 4, 5};
  for (const IntType type : {kInt8, kUint8, kInt16, kInt32}) {
    const Tensor x = random_codes(type, shape, 4);
    for (unsigned set = 0; set < 8; ++set) {
      std::vector<int> axes;
      int64_t count = 1;
      for (int axis = 1; axis < 4; ++axis) {
        if ((set >> (axis - 1) & 1) == 0) continue;
        axes.push_back(axis);
        count *= shape[axis];
      }
      const Tensor y = run_everywhere(Mean(mean_params(type, axes, count)), {&x});
      std::vector<int64_t> sums(static_cast<size_t>(y.numel()), 0);
      for (int64_t i = 0; i < x.numel(); ++i) {
        const int64_t index[] = {i / 60, i / 20 % 3, i / 5 % 4, i % 5};
        int64_t flat = 0;
        for (int axis = 0; axis < 4; ++axis) {
          const bool reduced = axis > 0 && (set >> (axis - 1) & 1) != 0;
          flat = flat * y.shape()[axis] + (reduced ? 0 : index[axis]);
        }
        sums[static_cast<size_t>(flat)] += x.int_at(i);
      }
      for (int64_t i = 0; i < y.numel(); ++i) {
        const int64_t sum = sums[static_cast<size_t>(i)];
        const int64_t magnitude = ((sum < 0 ? -sum : sum) * 2 + count) / (2 * count);
        CHECK(y.int_at(i) == (sum < 0 ? -magnitude : magnitude));
      }
    }
  }
}

TEST_CASE("mean: saturated codes are counted where events are asked for") {
  MeanParams params = mean_params(kInt8, {1}, 1);
  StepProgram program;
  program.steps = {
      {.kind = StepKind::mul, .a = Operand::constant(2), .b = {}},
      {.kind = StepKind::resize, .a = {}, .b = {}, .type = kInt8, .overflow = Overflow::saturate}};
  params.requantize = Requantizer(program, {}, kInt8);
  const Tensor x = tensor<int8_t>({1, 1, 3}, {100, -7, -65});
  Events events;
  CHECK(ints(run_everywhere(Mean(params), {&x}, &events)) == std::vector<int64_t>{127, -14, -128});
  CHECK(events.saturated == 2);
}

TEST_CASE("mean: refuses axes twice, other counts, float32 programs") {
  CHECK(error_of([] { Mean{mean_params(kInt8, {1, 1}, 4)}; }, "once") == ErrorCode::bad_value);
  CHECK(error_of([] { Mean{mean_params(kInt8, {-1}, 4)}; }, "below 0") == ErrorCode::bad_value);
  MeanParams params = mean_params(kInt8, {1}, 4);
  params.input_zero_point = 128;
  CHECK(error_of([&] { Mean{params}; }, "128") == ErrorCode::bad_value);
  params.input_zero_point = 0;
  params.count = 0;
  CHECK(error_of([&] { Mean{params}; }, "count") == ErrorCode::bad_value);
  const Tensor x = random_codes(kInt8, {1, 3, 2}, 1);
  CHECK(error_of([&] { run(Mean(mean_params(kInt8, {1}, 4)), {&x}, {}); }, "4 elements") ==
        ErrorCode::shape_mismatch);
  CHECK(error_of([&] { run(Mean(mean_params(kInt8, {5}, 1)), {&x}, {}); }, "reduced axes") ==
        ErrorCode::shape_mismatch);
}

}  // namespace facsim::sim::test
