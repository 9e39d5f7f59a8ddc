// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/map_blocked.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

Step blocked_step(StepKind kind, Operand a = {}) {
  return {.kind = kind, .a = std::move(a), .b = {}};
}

MapBlockedParams quantize_in_blocks(std::vector<float> scale, const Shape& shape, int axis,
                                    int64_t block_size) {
  StepProgram program;
  program.input_is_real = true;
  program.steps = {
      blocked_step(StepKind::fdiv, Operand::arg("scale")),
      {.kind = StepKind::fclamp, .a = Operand::constant_f32(-8), .b = Operand::constant_f32(7)},
      blocked_step(StepKind::round)};
  Arguments arguments;
  arguments.reals["scale"] = std::move(scale);
  MapBlockedParams params;
  params.requantize = Requantizer(program, arguments, IntType{4, true});
  params.arguments = shape;
  params.axis = axis;
  params.block_size = block_size;
  return params;
}

MapBlockedParams dequantize_in_blocks(std::vector<float> scale, const Shape& shape, int axis,
                                      int64_t block_size) {
  StepProgram program;
  program.steps = {blocked_step(StepKind::to_f32),
                   blocked_step(StepKind::fmul, Operand::arg("scale"))};
  Arguments arguments;
  arguments.reals["scale"] = std::move(scale);
  MapBlockedParams params;
  params.kind = "dequantize_blocked";
  params.input_dtype = DType::int8;
  params.requantize = Requantizer(program, arguments, kInt8);
  params.arguments = shape;
  params.axis = axis;
  params.block_size = block_size;
  return params;
}

}  // namespace

TEST_CASE("map_blocked: neighbours along the axis share a scale, a shorter last block included") {
  const Tensor x = tensor<float>({2, 5}, {1, 2, 3, 4, 5, 1, 2, 3, 4, 5});
  const MapBlocked op(quantize_in_blocks({1, 2, 0.5f, 1, 4, 0.25f}, {2, 3}, 1, 2));
  CHECK(op.output_dtype() == DType::int8);
  // Row 0: scales 1 1 | 2 2 | 0.5 (5 / 0.5 saturates), row 1: 1 1 | 4 4 | 0.25; 1.5 -> 2, 0.75
  // -> 1.
  CHECK(ints(run_everywhere(op, {&x})) == std::vector<int64_t>{1, 2, 2, 2, 7, 1, 2, 1, 1, 7});
}

TEST_CASE("map_blocked: blocks along the first axis") {
  const Tensor x = tensor<float>({3, 2}, {1, 1, 2, 2, 3, 3});
  const MapBlocked op(quantize_in_blocks({1, 2, 1, 3}, {2, 2}, 0, 2));
  CHECK(ints(run_everywhere(op, {&x})) == std::vector<int64_t>{1, 0, 2, 1, 3, 1});
}

TEST_CASE("map_blocked: dequantize") {
  const Tensor q = tensor<int8_t>({1, 4}, {-8, 7, 3, -1});
  const MapBlocked op(dequantize_in_blocks({0.5f, 4}, {1, 2}, 1, 2));
  CHECK(op.output_dtype() == DType::float32);
  const Tensor y = run_everywhere(op, {&q});
  const float expected[] = {-4, 3.5f, 12, -4};
  for (int64_t i = 0; i < 4; ++i) CHECK(y.data<float>()[i] == expected[i]);
  const std::vector<const Tensor*> inputs = {&q};
  CHECK(op.explain(inputs, 2).steps.front().integer == 1);  // the block
}

TEST_CASE("map_blocked: wrong shapes and parameters are refused") {
  const auto shape_error = [](const Shape& x) {
    const MapBlocked op(quantize_in_blocks({1, 2}, {1, 2}, 1, 2));
    const std::vector<Shape> inputs = {x};
    return error_of([&] { op.output_shape(inputs); }, "in blocks of 2 along axis 1");
  };
  CHECK(shape_error({1, 5}) == ErrorCode::shape_mismatch);
  CHECK(shape_error({1, 2}) == ErrorCode::shape_mismatch);
  CHECK(shape_error({2, 4}) == ErrorCode::shape_mismatch);
  CHECK(shape_error({4}) == ErrorCode::shape_mismatch);
  const auto params_error = [](MapBlockedParams params, const char* text) {
    return error_of([&] { MapBlocked op(std::move(params)); }, text);
  };
  CHECK(params_error(quantize_in_blocks({1, 2}, {1, 2}, 2, 2), "axis") == ErrorCode::bad_value);
  CHECK(params_error(quantize_in_blocks({1, 2}, {1, 2}, 1, 0), "block_size") ==
        ErrorCode::bad_value);
  CHECK(params_error(quantize_in_blocks({1, 2}, {1, 3}, 1, 2), "one per block") ==
        ErrorCode::bad_value);
  MapBlockedParams params = quantize_in_blocks({1, 2}, {1, 2}, 1, 2);
  params.kind = "requantize";
  CHECK(params_error(params, "kind") == ErrorCode::bad_value);
  params.kind = "dequantize_blocked";
  CHECK(params_error(params, "requantize") == ErrorCode::bad_value);
}

}  // namespace facsim::sim::test
