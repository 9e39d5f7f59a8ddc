// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/batch_matmul.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

BatchMatmulParams raw_sums(IntType type, int bits) {
  BatchMatmulParams params;
  params.lhs_type = params.rhs_type = type;
  params.accumulator.bits = bits;
  params.requantize = accumulator_as_output({64, true});
  return params;
}

}  // namespace

TEST_CASE("batch_matmul: sums of centred products, matrices stored either way round") {
  const Tensor a = tensor<int8_t>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor b = tensor<int8_t>({3, 2}, {7, 8, 9, 10, 11, 12});
  const Tensor a_turned = tensor<int8_t>({3, 2}, {1, 4, 2, 5, 3, 6});
  const Tensor b_turned = tensor<int8_t>({2, 3}, {7, 9, 11, 8, 10, 12});
  for (const bool turn_a : {false, true}) {
    for (const bool turn_b : {false, true}) {
      BatchMatmulParams params = raw_sums(kInt8, 32);
      params.transpose_lhs = turn_a;
      params.transpose_rhs = turn_b;
      const Tensor y =
          run_everywhere(BatchMatmul(params), {turn_a ? &a_turned : &a, turn_b ? &b_turned : &b});
      CHECK(ints(y) == std::vector<int64_t>{58, 64, 139, 154});
    }
  }
  BatchMatmulParams params = raw_sums(kInt8, 32);
  params.lhs_zero_point = 1;
  params.rhs_zero_point = 10;
  const BatchMatmul op(params);
  // (0, 1, 2) and (3, 4, 5) times the columns (-3, -1, 1) and (-2, 0, 2).
  CHECK(ints(run_everywhere(op, {&a, &b})) == std::vector<int64_t>{1, 4, -8, 4});
  CHECK(op.macs(std::vector<Shape>{a.shape(), b.shape()}) == 12);
}

TEST_CASE("batch_matmul: leading axes broadcast; int16 sums beyond 32 bits are exact") {
  const Tensor a = random_codes(kInt16, {2, 3, 4, 40}, 1);
  const Tensor b = random_codes(kInt16, {3, 40, 5}, 2);
  const Tensor y = run_everywhere(BatchMatmul(raw_sums(kInt16, 64)), {&a, &b});
  REQUIRE(y.shape() == Shape{2, 3, 4, 5});
  bool wide = false;
  for (int64_t i = 0; i < y.numel(); ++i) {
    const int64_t n = i % 5, m = i / 5 % 4, matrix = i / 20;
    int64_t sum = 0;
    for (int64_t k = 0; k < 40; ++k) {
      sum += a.int_at((matrix * 4 + m) * 40 + k) * b.int_at((matrix % 3 * 40 + k) * 5 + n);
    }
    CHECK(y.int_at(i) == sum);
    wide = wide || sum > INT32_MAX || sum < INT32_MIN;
  }
  CHECK(wide);
}

TEST_CASE("batch_matmul: refuses shapes that do not multiply and what a convolution refuses") {
  const BatchMatmul op(raw_sums(kInt8, 32));
  const Tensor a = random_codes(kInt8, {2, 3}, 1), b = random_codes(kInt8, {2, 3}, 1);
  CHECK(error_of([&] { run(op, {&a, &b}, {}); }, "columns (3)") == ErrorCode::shape_mismatch);
  const Tensor v = random_codes(kInt8, {3}, 1);
  CHECK(error_of([&] { run(op, {&a, &v}, {}); }, "two axes") == ErrorCode::shape_mismatch);
  const Tensor c = random_codes(kInt8, {2, 2, 3}, 1), d = random_codes(kInt8, {3, 3, 4}, 1);
  CHECK(error_of([&] { run(op, {&c, &d}, {}); }, "broadcast") == ErrorCode::shape_mismatch);
  CHECK(error_of([] { BatchMatmul{raw_sums(kInt32, 32)}; }, "32 bits") == ErrorCode::unsupported);
  BatchMatmulParams params = raw_sums(kInt8, 32);
  params.lhs_zero_point = 300;
  CHECK(error_of([&] { BatchMatmul{params}; }, "300") == ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
