// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/linear.h"

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {
namespace {

LinearParams small_linear() {
  LinearParams p;
  p.weights = tensor<int8_t>({2, 3}, {1, 2, 3, -1, 0, 1});
  p.bias = tensor<int32_t>({2}, {100, 200});
  p.input_zero_point = 1;
  p.requantize = accumulator_as_output(kInt32);
  return p;
}

TEST_CASE("linear: by hand") {
  const Linear linear(small_linear());
  const Tensor input = tensor<int8_t>({2, 3}, {2, 3, 4, 1, 1, 11});  // centred 1 2 3, 0 0 10
  CHECK(linear.output_shape(std::vector<Shape>{input.shape()}) == Shape{2, 2});
  CHECK(linear.macs(std::vector<Shape>{input.shape()}) == 6);
  Events events;
  const Tensor output = run_everywhere(linear, {&input}, &events);
  CHECK(ints(output) == std::vector<int64_t>{114, 202, 130, 210});
  CHECK(events == Events{});
}

TEST_CASE("linear: trailing axes are one axis of features") {
  const Linear linear(small_linear());
  const Tensor input = tensor<int8_t>({1, 1, 3, 1}, {2, 3, 4});
  CHECK(ints(run_everywhere(linear, {&input})) == std::vector<int64_t>{114, 202});
}

TEST_CASE("linear: rows of the weights' length stay rows") {
  const Linear linear(small_linear());
  const Tensor input = tensor<int8_t>({2, 1, 2, 3}, {2, 3, 4, 1, 1, 11, 1, 1, 11, 2, 3, 4});
  CHECK(linear.output_shape(std::vector<Shape>{input.shape()}) == Shape{2, 1, 2, 2});
  CHECK(linear.macs(std::vector<Shape>{Shape{1, 1, 2, 3}}) == 12);
  CHECK(ints(run_everywhere(linear, {&input})) ==
        std::vector<int64_t>{114, 202, 130, 210, 130, 210, 114, 202});
  const Tensor* const inputs[] = {&input};
  CHECK(linear.explain(inputs, 3).accumulator == 210);
}

TEST_CASE("linear: taps are summed in the order of the features") {
  LinearParams p;
  p.weights = tensor<int8_t>({1, 3}, {1, 1, 1});
  p.accumulator = {8, Overflow::saturate, Accumulator::Order::sequential, {}};
  p.requantize = accumulator_as_output(kInt8);
  const Tensor input = tensor<int8_t>({2, 3}, {100, 100, -100, 100, -100, 100});
  Events events;
  CHECK(ints(run_everywhere(Linear(p), {&input}, &events)) == std::vector<int64_t>{27, 100});
  CHECK(events == Events{0, 0, 1});
}

TEST_CASE("linear: an empty batch") {
  const Tensor input(DType::int8, {0, 3});
  CHECK(run(Linear(small_linear()), {&input}, {}).shape() == Shape{0, 2});
}

TEST_CASE("linear: explain names the accumulator") {
  const Linear linear(small_linear());
  const Tensor input = tensor<int8_t>({1, 3}, {2, 3, 4});
  const Tensor* const inputs[] = {&input};
  CHECK(linear.explain(inputs, 1).accumulator == 202);
  CHECK(linear.conv().accumulator_bound(0) == 6 * 126 + 100);
}

TEST_CASE("linear: bad parameters and inputs are refused") {
  LinearParams p = small_linear();
  p.weights = tensor<int8_t>({6}, {1, 2, 3, 4, 5, 6});
  CHECK(error_of([&] { Linear{p}; }, "(O, I)") == ErrorCode::shape_mismatch);
  p = small_linear();
  p.bias = tensor<int32_t>({3}, {1, 2, 3});
  CHECK(error_of([&] { Linear{p}; }, "bias") == ErrorCode::shape_mismatch);
  const Linear linear(small_linear());
  const auto shape = [&](const Shape& input) { linear.output_shape(std::vector<Shape>{input}); };
  CHECK(error_of([&] { shape({3}); }, "shape (3") == ErrorCode::shape_mismatch);
  CHECK(error_of([&] { shape({2, 4}); }, "(2, 4)") == ErrorCode::shape_mismatch);
  CHECK(error_of([&] { shape({2, 1, 4}); }, "3 elements") == ErrorCode::shape_mismatch);
}

}  // namespace
}  // namespace facsim::sim::test
