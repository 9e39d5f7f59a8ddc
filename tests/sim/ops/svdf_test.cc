// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/svdf.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/sim/ops/activation_tester.h"
#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

SvdfParams small(IntType state, int64_t rank) {
  SvdfParams params;
  params.rank = rank;
  params.input_zero_point = -3;
  params.state_zero_point = state == kInt8 ? 5 : 0;
  params.feature_weights = random_codes(kInt8, {6, 5}, 31);
  params.time_weights = random_codes(state, {6, 4}, 32);
  params.bias = random_codes(kInt32, {6 / rank}, 33);
  for (int64_t i = 0; i < params.bias.numel(); ++i) params.bias.set_int(i, 1000 * i - 1500);
  params.state =
      tflite_double(1717987072, state == kInt8 ? -8 : -1, params.state_zero_point, state);
  params.output = tflite_double(1099511552, state == kInt8 ? -8 : -15, 7, kInt8);
  return params;
}

int64_t sum_of(const std::vector<int64_t>& values, int64_t from, int64_t count) {
  int64_t sum = 0;
  for (int64_t i = from; i < from + count; ++i) sum += values[static_cast<size_t>(i)];
  return sum;
}

}  // namespace

// CMSIS-NN's test svdf_2 (99f736a6): 3 images, 2 steps, 7 inputs, 10 filters of rank 2.
TEST_CASE("svdf: int16 states give CMSIS-NN's results") {
  SvdfParams params;
  params.rank = 2;
  params.feature_weights = tensor<int8_t>(
      {10, 7}, {89,  -63,  93,  -59, -108, -25, 74,  -63,  104,  24,   126, -56, 100, 64,
                88,  61,   -6,  76,  111,  39,  73,  -79,  37,   -2,   10,  -99, 31,  -125,
                53,  -94,  114, -86, 119,  -56, 109, -124, 116,  -113, 38,  -63, 28,  -32,
                -26, -61,  -85, 66,  109,  -51, 39,  -112, -123, -22,  62,  62,  102, -62,
                65,  -107, -75, 107, -86,  53,  -50, 77,   62,   -29,  -51, 109, 43,  -95});
  params.time_weights = tensor<int16_t>({10, 2}, {-99, 75, 86, 3,   78,  18,  -70, -103, -49, 110,
                                                  124, 7,  29, -52, -10, -67, 1,   18,   111, -86});
  params.state = tflite_double(1717987072, -3, 0, kInt16);
  params.output = tflite_double(1099511552, -11, 0, kInt8);
  Tensor input(DType::int8, Shape{3, 2, 7});
  const std::vector<int64_t> sequence = {-83, 20,   39,  85,  7,   70,  -62, 109, 26,   -115, -37,
                                         104, -113, -89, -85, -30, 108, 9,   -51, -124, 109,  23,
                                         17,  -58,  58,  89,  -69, 4,   -16, -2,  -64,  122,  79,
                                         -5,  126,  -71, -48, 15,  -28, 111, 81,  75};
  // The vector is [T, N, I].
  for (int64_t t = 0; t < 2; ++t) {
    for (int64_t n = 0; n < 3; ++n) {
      for (int64_t i = 0; i < 7; ++i) {
        input.set_int((n * 2 + t) * 7 + i, sequence[static_cast<size_t>((t * 3 + n) * 7 + i)]);
      }
    }
  }
  const Tensor y = run_everywhere(Svdf(params), {&input});
  const std::vector<int64_t> expected = {60,  6,   78,  -31, -20, -60, 103, -6,
                                         -33, 105, -60, 30,  4,   -50, -101};
  for (int64_t n = 0; n < 3; ++n) {
    for (int64_t u = 0; u < 5; ++u) {
      CHECK(y.int_at((n * 2 + 1) * 5 + u) == expected[static_cast<size_t>(n * 5 + u)]);
    }
  }
}

TEST_CASE("svdf: the formula, step by step, with zero points, bias and states given") {
  for (const IntType state : {kInt8, kInt16}) {
    for (const int64_t rank : {1, 2, 3}) {
      const SvdfParams params = small(state, rank);
      const Tensor x = random_codes(kInt8, {2, 3, 5}, 34);
      const Tensor before = random_codes(state, {2, 6, 4}, 35);
      const Svdf op(params);
      const Tensor y = run_everywhere(op, {&x, &before});
      const int64_t units = 6 / rank;
      CHECK(y.shape() == Shape{2, 3, units});
      CHECK(op.macs(std::vector<Shape>{x.shape()}) == 3 * 6 * (5 + 4));
      for (int64_t n = 0; n < 2; ++n) {
        std::vector<int64_t> states;
        for (int64_t i = 0; i < 24; ++i) states.push_back(before.int_at(n * 24 + i));
        for (int64_t t = 0; t < 3; ++t) {
          std::vector<int64_t> by_filter;
          for (int64_t f = 0; f < 6; ++f) {
            int64_t sum = 0;
            for (int64_t i = 0; i < 5; ++i) {
              sum += (x.int_at((n * 3 + t) * 5 + i) + 3) * params.feature_weights.int_at(f * 5 + i);
            }
            Events ignored;
            const auto own = states.begin() + f * 4;
            std::rotate(own, own + 1, own + 4);
            own[3] = params.state.apply(sum, 0, ignored);
            int64_t product = 0;
            for (int64_t m = 0; m < 4; ++m) {
              product += (own[m] - params.state_zero_point) * params.time_weights.int_at(f * 4 + m);
            }
            by_filter.push_back(product);
          }
          for (int64_t u = 0; u < units; ++u) {
            Events ignored;
            const int64_t sum = sum_of(by_filter, u * rank, rank) + params.bias.int_at(u);
            REQUIRE(y.int_at((n * 3 + t) * units + u) == params.output.apply(sum, 0, ignored));
          }
        }
      }
    }
  }
}

TEST_CASE("svdf: without states all are real 0") {
  const SvdfParams params = small(kInt8, 2);
  const Tensor x = random_codes(kInt8, {1, 2, 5}, 36);
  Tensor zero(DType::int8, Shape{1, 6, 4});
  for (int64_t i = 0; i < zero.numel(); ++i) zero.set_int(i, params.state_zero_point);
  const Svdf op(params);
  CHECK(same_bits(run_everywhere(op, {&x}), run_everywhere(op, {&x, &zero})));
}

TEST_CASE("svdf: refuses parameters and inputs that do not fit") {
  SvdfParams params = small(kInt8, 2);
  params.rank = 4;
  CHECK(error_of([&] { Svdf{params}; }, "rank: 4; expected a divisor") == ErrorCode::bad_value);
  params = small(kInt8, 2);
  params.time_weights = random_codes(kInt8, {5, 4}, 1);
  CHECK(error_of([&] { Svdf{params}; }, "6 filters") == ErrorCode::shape_mismatch);
  params = small(kInt8, 2);
  params.feature_weights = random_codes(kInt16, {6, 5}, 1);
  CHECK(error_of([&] { Svdf{params}; }, "feature_weights: dtype int16") == ErrorCode::bad_value);
  params = small(kInt8, 2);
  params.bias = random_codes(kInt32, {6}, 1);
  CHECK(error_of([&] { Svdf{params}; }, "svdf bias") == ErrorCode::shape_mismatch);
  params = small(kInt8, 2);
  params.state = tflite_double(1 << 30, 0, 0, kInt32);
  CHECK(error_of([&] { Svdf{params}; }, "at most 16 bits") == ErrorCode::unsupported);
  params = small(kInt8, 2);
  params.state_zero_point = 300;
  CHECK(error_of([&] { Svdf{params}; }, "state_zero_point: 300") == ErrorCode::bad_value);
  params = small(kInt8, 2);
  params.accumulator.operands = Accumulator::Operands::codes;
  CHECK(error_of([&] { Svdf{params}; }, "svdf accumulator: operands") == ErrorCode::unsupported);
  params = small(kInt8, 2);
  params.accumulator.block = Accumulator::Block{.taps = 4};
  CHECK(error_of([&] { Svdf{params}; }, "svdf accumulator: blocks") == ErrorCode::unsupported);
  const Svdf op(small(kInt8, 2));
  CHECK(error_of(
            [&] {
              op.output_shape(std::vector<Shape>{Shape{1, 2, 4}});
            },
            "(N, T, 5)") == ErrorCode::shape_mismatch);
  CHECK(error_of(
            [&] {
              op.output_shape(std::vector<Shape>{Shape{2, 2, 5}, Shape{1, 6, 4}});
            },
            "state shape") == ErrorCode::shape_mismatch);
  CHECK(error_of([&] { op.output_shape(std::vector<Shape>{}); }, "0 inputs") ==
        ErrorCode::shape_mismatch);
}

}  // namespace facsim::sim::test
