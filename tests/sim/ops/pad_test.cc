// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/pad.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

TEST_CASE("pad: surrounds the input with the value on every axis") {
  const Tensor x = tensor<int8_t>({1, 2, 2}, {1, 2, 3, 4});
  PadParams params;
  params.before = {0, 1, 1};
  params.after = {1, 0, 2};
  params.value = -7;
  const std::vector<int64_t> expected = {-7, -7, -7, -7, -7,  //
                                         -7, 1,  2,  -7, -7,  //
                                         -7, 3,  4,  -7, -7,  //
                                         -7, -7, -7, -7, -7,  //
                                         -7, -7, -7, -7, -7,  //
                                         -7, -7, -7, -7, -7};
  const Tensor y = run_everywhere(Pad(params), {&x});
  CHECK(y.shape() == Shape{2, 3, 5});
  CHECK(ints(y) == expected);
}

TEST_CASE("pad: rows of NHWC are padded by whole pixels, equal to the definition") {
  const Tensor x = random_codes(kInt16, {2, 5, 7, 3}, 9);
  PadParams params;
  params.type = kInt16;
  params.before = {0, 2, 1, 0};
  params.after = {0, 0, 3, 0};
  params.value = 300;
  const Tensor y = run_everywhere(Pad(params), {&x});
  REQUIRE(y.shape() == Shape{2, 7, 11, 3});
  for (int64_t i = 0; i < y.numel(); ++i) {
    const int64_t c = i % 3, w = i / 3 % 11 - 1, h = i / 33 % 7 - 2, n = i / 231;
    const bool inside = h >= 0 && w >= 0 && w < 7;
    CHECK(y.int_at(i) == (inside ? x.int_at(((n * 5 + h) * 7 + w) * 3 + c) : 300));
  }
}

TEST_CASE("pad: without padding, of nothing, and of one element") {
  PadParams none;
  none.before = none.after = {0, 0};
  const Tensor x = tensor<int8_t>({2, 2}, {1, 2, 3, 4});
  CHECK(same_bits(run_everywhere(Pad(none), {&x}), x));
  PadParams all;
  all.before = {0, 1};
  all.after = {0, 1};
  all.value = 5;
  const Tensor empty(DType::int8, {2, 0});
  CHECK(ints(run_everywhere(Pad(all), {&empty})) == std::vector<int64_t>{5, 5, 5, 5});
}

TEST_CASE("pad: refuses negative paddings, values that are no codes, other ranks") {
  PadParams params;
  params.before = {0, -1};
  params.after = {0, 0};
  CHECK(error_of([&] { Pad{params}; }, "-1") == ErrorCode::bad_value);
  params.before = {0};
  CHECK(error_of([&] { Pad{params}; }, "1 and 2 entries") == ErrorCode::bad_value);
  params.before = {0, 1};
  params.value = 128;
  CHECK(error_of([&] { Pad{params}; }, "-128..127") == ErrorCode::bad_value);
  params.value = 0;
  const Tensor x = random_codes(kInt8, {2, 2, 2}, 1);
  CHECK(error_of([&] { run(Pad(params), {&x}, {}); }, "2 axes") == ErrorCode::shape_mismatch);
  params.after = {int64_t{1} << 31, int64_t{1} << 31};
  const Tensor small = random_codes(kInt8, {2, 2}, 1);
  CHECK(error_of([&] { run(Pad(params), {&small}, {}); }, "") == ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
