// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/transpose.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

/// By definition: the element at output index i_0, i_1, … is the input's at i_k on axis p[k].
std::vector<int64_t> expected_transpose(const Tensor& x, const std::vector<int>& permutation) {
  const int rank = x.shape().rank();
  std::vector<int64_t> values;
  std::vector<int64_t> index(static_cast<size_t>(rank), 0);
  for (int64_t count = 0; count < x.numel(); ++count) {
    std::vector<int64_t> source(static_cast<size_t>(rank));
    for (size_t k = 0; k < index.size(); ++k) {
      source[static_cast<size_t>(permutation[k])] = index[k];
    }
    int64_t flat = 0;
    for (int axis = 0; axis < rank; ++axis) {
      flat = flat * x.shape()[axis] + source[static_cast<size_t>(axis)];
    }
    values.push_back(x.int_at(flat));
    for (int k = rank - 1; k >= 0; --k) {
      const auto i = static_cast<size_t>(k);
      if (++index[i] < x.shape()[permutation[i]]) break;
      index[i] = 0;
    }
  }
  return values;
}

}  // namespace

TEST_CASE("transpose: every permutation up to rank 5, and some of rank 6") {
  const Shape shapes[] = {{7}, {5, 33}, {2, 17, 19}, {2, 3, 18, 5}, {2, 1, 3, 4, 5}};
  for (const Shape& shape : shapes) {
    const Tensor x = random_codes(kInt16, shape, 3);
    std::vector<int> permutation(static_cast<size_t>(shape.rank()));
    std::iota(permutation.begin(), permutation.end(), 0);
    do {
      const Transpose op({DType::int16, permutation});
      CHECK(ints(run(op, {&x}, {})) == expected_transpose(x, permutation));
    } while (std::next_permutation(permutation.begin(), permutation.end()));
  }
  const Tensor x = random_codes(kInt8, {2, 3, 1, 4, 2, 5}, 4);
  for (const std::vector<int>& permutation :
       {std::vector<int>{5, 4, 3, 2, 1, 0}, {0, 3, 1, 2, 5, 4}, {1, 0, 2, 4, 3, 5}}) {
    const Transpose op({DType::int8, permutation});
    CHECK(ints(run_everywhere(op, {&x})) == expected_transpose(x, permutation));
  }
}

TEST_CASE("transpose: float32 elements keep their bits") {
  const Tensor x = tensor<float>({2, 3}, {1.0f, -0.0f, 3.5f, 4.0f, 5.0f, 6.0f});
  const Tensor y = run(Transpose({DType::float32, {1, 0}}), {&x}, {});
  CHECK(same_bits(y, tensor<float>({3, 2}, {1.0f, 4.0f, -0.0f, 5.0f, 3.5f, 6.0f})));
}

TEST_CASE("transpose: refuses what is no permutation, other ranks and dtypes") {
  for (const std::vector<int>& bad :
       {std::vector<int>{0, 0}, {0, 2}, {-1, 0}, {0, 1, 2, 3, 4, 5, 6, 7, 8}}) {
    CHECK(error_of(
              [&] {
                Transpose({DType::int8, bad});
              },
              "each axis once") == ErrorCode::bad_value);
  }
  const Transpose op({DType::int8, {1, 0}});
  const Tensor x = random_codes(kInt8, {2, 3, 4}, 1), y = random_codes(kUint8, {2, 3}, 1);
  CHECK(error_of([&] { run(op, {&x}, {}); }, "2 axes") == ErrorCode::shape_mismatch);
  CHECK(error_of([&] { run(op, {&y}, {}); }, "dtype uint8") == ErrorCode::bad_value);
  const Tensor none(DType::int8, {0, 3});
  CHECK(run(op, {&none}, {}).shape() == Shape{3, 0});
}

}  // namespace facsim::sim::test
