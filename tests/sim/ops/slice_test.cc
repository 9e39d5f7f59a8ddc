// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/slice.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

Slice slice_of(std::vector<SliceAxis> axes) { return Slice({DType::int8, std::move(axes)}); }

Tensor counting(const Shape& shape) {
  Tensor t(DType::int8, shape);
  for (int64_t i = 0; i < t.numel(); ++i) t.set_int(i, i);
  return t;
}

}  // namespace

TEST_CASE("slice: one axis as numpy slices it") {
  const Tensor x = counting({6});
  struct Case {
    SliceAxis axis;
    std::vector<int64_t> expected;
  };
  const std::optional<int64_t> none;
  const Case cases[] = {
      {{none, none, 1}, {0, 1, 2, 3, 4, 5}},
      {{1, 4, 1}, {1, 2, 3}},
      {{1, 6, 2}, {1, 3, 5}},
      {{-2, none, 1}, {4, 5}},
      {{none, -4, 1}, {0, 1}},
      {{-100, 2, 1}, {0, 1}},
      {{4, 100, 1}, {4, 5}},
      {{3, 3, 1}, {}},
      {{5, 1, 1}, {}},
      {{100, none, 1}, {}},
      {{none, none, -1}, {5, 4, 3, 2, 1, 0}},
      {{4, 1, -2}, {4, 2}},
      {{none, 3, -1}, {5, 4}},
      {{1, none, -1}, {1, 0}},
      {{100, -100, -5}, {5, 0}},
      {{1, 4, -1}, {}},
      {{INT64_MIN, INT64_MAX, INT64_MAX}, {0}},
      {{INT64_MAX, INT64_MIN, INT64_MIN}, {5}},
      {{-1, 0, 1}, {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.axis.begin.value_or(-999));
    CAPTURE(c.axis.end.value_or(-999));
    CAPTURE(c.axis.stride);
    CHECK(ints(run(slice_of({c.axis}), {&x}, {})) == c.expected);
  }
}

TEST_CASE("slice: several axes, the rest whole; every way to run agrees") {
  const Tensor x = counting({2, 3, 4, 5});
  const Slice op = slice_of({{}, {1, std::nullopt, 1}, {std::nullopt, std::nullopt, -2}});
  const Tensor y = run_everywhere(op, {&x});
  REQUIRE(y.shape() == Shape{2, 2, 2, 5});
  int64_t at = 0;
  for (const int64_t n : {0, 1}) {
    for (const int64_t h : {1, 2}) {
      for (const int64_t w : {3, 1}) {
        for (int64_t c = 0; c < 5; ++c) {
          CHECK(y.int_at(at++) == static_cast<int8_t>(((n * 3 + h) * 4 + w) * 5 + c));
        }
      }
    }
  }
}

TEST_CASE("slice: refuses a stride of 0 and more axes than there are") {
  CHECK(error_of([] { slice_of({{0, 1, 1}, {0, 1, 0}}); }, "axis 1") == ErrorCode::bad_value);
  const Tensor x = counting({6});
  const Slice op = slice_of({{}, {}});
  CHECK(error_of([&] { run(op, {&x}, {}); }, "at least 2 axes") == ErrorCode::shape_mismatch);
}

}  // namespace facsim::sim::test
