// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/min_max.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

TEST_CASE("min_max: elementwise, both kinds, several types") {
  for (const IntType type : {kInt8, kUint8, kInt16, kInt32}) {
    const Tensor a = random_codes(type, {2, 3, 50, 7}, 5), b = random_codes(type, {2, 3, 50, 7}, 6);
    const Tensor low = run_everywhere(MinMax({MinMaxParams::Kind::minimum, type}), {&a, &b});
    const Tensor high = run_everywhere(MinMax({MinMaxParams::Kind::maximum, type}), {&a, &b});
    for (int64_t i = 0; i < a.numel(); ++i) {
      CHECK(low.int_at(i) == std::min(a.int_at(i), b.int_at(i)));
      CHECK(high.int_at(i) == std::max(a.int_at(i), b.int_at(i)));
    }
  }
}

TEST_CASE("min_max: broadcasts as numpy does, from either side and on inner axes") {
  const MinMax op({MinMaxParams::Kind::maximum, kInt8});
  const Tensor a = random_codes(kInt8, {4, 1, 3, 5}, 1);
  for (const Shape& shape :
       {Shape{5}, Shape{1}, Shape{2, 1, 5}, Shape{4, 6, 3, 1}, Shape{1, 1, 3, 1}, Shape{}}) {
    const Tensor b = random_codes(kInt8, shape, 2);
    const Tensor y = run_everywhere(op, {&a, &b});
    CHECK(same_bits(y, run_everywhere(op, {&b, &a})));
    const auto at = [&](const Tensor& t, int64_t flat) {
      int64_t index = 0, stride = 1;
      for (int axis = y.shape().rank() - 1; axis >= 0; --axis) {
        const int own = axis - (y.shape().rank() - t.shape().rank());
        const int64_t i = flat % y.shape()[axis];
        flat /= y.shape()[axis];
        if (own < 0) continue;
        if (t.shape()[own] > 1) index += i * stride;
        stride *= t.shape()[own];
      }
      return t.int_at(index);
    };
    for (int64_t i = 0; i < y.numel(); ++i) CHECK(y.int_at(i) == std::max(at(a, i), at(b, i)));
  }
}

TEST_CASE("min_max: refuses other dtypes and shapes that do not broadcast") {
  const MinMax op({MinMaxParams::Kind::minimum, kInt8});
  const Tensor a = random_codes(kInt8, {2, 3}, 1), b = random_codes(kInt8, {2, 2}, 1);
  CHECK(error_of([&] { run(op, {&a, &b}, {}); }, "(2, 3) and (2, 2)") == ErrorCode::shape_mismatch);
  const Tensor u = random_codes(kUint8, {2, 3}, 1);
  CHECK(error_of([&] { run(op, {&a, &u}, {}); }, "uint8") == ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
