// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/reshape.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

TEST_CASE("reshape: keeps the elements in NHWC order, one extent may be -1") {
  ReshapeParams params;
  params.extents = {2, -1};
  const Reshape op(params);
  CHECK(op.is_view());
  const Tensor x = random_codes(kInt8, {3, 2, 2, 3}, 71);
  const Tensor y = run_everywhere(op, {&x});
  CHECK(y.shape() == Shape{3, 2, 6});
  CHECK(ints(y) == ints(x));
}

TEST_CASE("reshape: flattening in NCHW order permutes as PyTorch and ONNX flatten") {
  ReshapeParams params;
  params.order = ReshapeParams::Order::nchw;
  const Reshape op(params);
  CHECK_FALSE(op.is_view());
  const Tensor x = random_codes(kInt8, {2, 3, 4, 5}, 72);
  const Tensor y = run_everywhere(op, {&x});
  CHECK(y.shape() == Shape{2, 60});
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t c = 0; c < 5; ++c) {
      for (int64_t h = 0; h < 3; ++h) {
        for (int64_t w = 0; w < 4; ++w) {
          REQUIRE(y.int_at(((n * 5 + c) * 3 + h) * 4 + w) ==
                  x.int_at(((n * 3 + h) * 4 + w) * 5 + c));
        }
      }
    }
  }
  const Tensor flat = random_codes(kInt8, {2, 7}, 73);
  CHECK(ints(run_everywhere(op, {&flat})) == ints(flat));
}

TEST_CASE("reshape: moves float32 too") {
  ReshapeParams params;
  params.dtype = DType::float32;
  params.order = ReshapeParams::Order::nchw;
  const Tensor x = tensor<float>({1, 1, 2, 2}, {1.5f, 2.5f, 3.5f, 4.5f});
  const Tensor y = run_everywhere(Reshape(params), {&x});
  const auto values = y.values<float>();
  CHECK(std::vector<float>(values.begin(), values.end()) ==
        std::vector<float>{1.5f, 3.5f, 2.5f, 4.5f});
}

TEST_CASE("reshape: refuses what does not fit") {
  const auto refused = [](std::vector<int64_t> extents, const Shape& shape) {
    ReshapeParams params;
    params.extents = std::move(extents);
    const Tensor x(DType::int8, shape);
    return error_of([&] { run(Reshape(params), {&x}, {}); }, "reshape");
  };
  CHECK(refused({5}, {1, 6}) == ErrorCode::shape_mismatch);
  CHECK(refused({7}, {1, 6}) == ErrorCode::shape_mismatch);
  CHECK(refused({4, -1}, {1, 6}) == ErrorCode::shape_mismatch);
  CHECK(refused({INT64_MAX, INT64_MAX}, {1, 6}) == ErrorCode::shape_mismatch);
  CHECK(refused({-1, -1}, {1, 6}) == ErrorCode::bad_value);
  CHECK(refused({0}, {1, 6}) == ErrorCode::bad_value);
  CHECK(refused({-2}, {1, 6}) == ErrorCode::bad_value);
  ReshapeParams params;
  params.order = ReshapeParams::Order::nchw;
  params.extents = {2, 3};
  CHECK(error_of([&] { Reshape{params}; }, "flatten") == ErrorCode::unsupported);
}

}  // namespace facsim::sim::test
