// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/concat.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

TEST_CASE("concat: codes one behind the other on any axis") {
  const Tensor a = tensor<int8_t>({1, 2, 2}, {1, 2, 3, 4});
  const Tensor b = tensor<int8_t>({1, 1, 2}, {5, 6});
  const Tensor c = tensor<int8_t>({1, 2, 1}, {7, 8});
  const Concat rows({1, DType::int8, {{}, {}}});
  CHECK(ints(run_everywhere(rows, {&a, &b})) == std::vector<int64_t>{1, 2, 3, 4, 5, 6});
  const Concat columns({-1, DType::int8, {{}, {}, {}}});
  const Tensor y = run_everywhere(columns, {&a, &c, &a});
  CHECK(y.shape() == Shape{1, 2, 5});
  CHECK(ints(y) == std::vector<int64_t>{1, 2, 7, 1, 2, 3, 4, 8, 3, 4});
}

TEST_CASE("concat: an input of another scale passes its program") {
  StepProgram program;
  program.steps = {
      {.kind = StepKind::mul, .a = Operand::constant(3), .b = {}},
      {.kind = StepKind::resize, .a = {}, .b = {}, .type = kInt8, .overflow = Overflow::saturate}};
  const Concat op({-1, DType::int8, {{}, {DType::uint8, Requantizer(program, {}, kInt8)}}});
  const Tensor a = tensor<int8_t>({2, 1}, {-1, -2});
  const Tensor b = tensor<uint8_t>({2, 2}, {1, 2, 42, 43});
  Events events;
  const Tensor y = run_everywhere(op, {&a, &b}, &events);
  CHECK(ints(y) == std::vector<int64_t>{-1, 3, 6, -2, 126, 127});
  CHECK(events.saturated == 1);
  CHECK(op.input_dtype(1) == DType::uint8);
  CHECK(op.input_dtype(2) == std::nullopt);
}

TEST_CASE("concat: refuses other shapes, dtypes, numbers of inputs") {
  CHECK(error_of([] { Concat({0, DType::int8, {}}); }, "at least one") == ErrorCode::bad_value);
  CHECK(error_of(
            [] {
              Concat({0, DType::int8, {{DType::int16, {}}}});
            },
            "int16") == ErrorCode::bad_value);
  const Requantizer to_int16({}, {}, kInt16);
  CHECK(error_of(
            [&] {
              Concat({0, DType::int8, {{DType::int8, to_int16}}});
            },
            "int16") == ErrorCode::bad_value);
  const Tensor a = random_codes(kInt8, {2, 3}, 1), b = random_codes(kInt8, {3, 2}, 1);
  const Concat op({1, DType::int8, {{}, {}}});
  CHECK(error_of([&] { run(op, {&a, &b}, {}); }, "(2, 3) and (3, 2)") == ErrorCode::shape_mismatch);
  CHECK(error_of([&] { run(op, {&a}, {}); }, "1 inputs") == ErrorCode::shape_mismatch);
  const Concat deep({2, DType::int8, {{}, {}}});
  CHECK(error_of([&] { run(deep, {&a, &a}, {}); }, "axis 2") == ErrorCode::shape_mismatch);
}

}  // namespace facsim::sim::test
