// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/constant_inputs.h"

#include <doctest/doctest.h>

#include "sim/core/error.h"

namespace facsim::sim {
namespace {

/// lhs - rhs on int32: not commutative, so that the order of the inputs shows.
class Difference final : public Op {
 public:
  std::string_view kind() const override { return "sub"; }
  Shape output_shape(std::span<const Shape> inputs) const override {
    return inputs[0].rank() >= inputs[1].rank() ? inputs[0] : inputs[1];
  }
  DType output_dtype() const override { return DType::int32; }
  std::optional<DType> input_dtype(int index) const override {
    return index == 0 ? DType::int8 : DType::int32;
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext&) const override {
    for (int64_t i = 0; i < output.numel(); ++i) {
      output.set_int(i, inputs[0]->int_at(i) - inputs[1]->int_at(i));
    }
    return {};
  }
  Explanation explain(std::span<const Tensor* const> inputs, int64_t i) const override {
    Explanation out;
    out.result = inputs[0]->int_at(i) - inputs[1]->int_at(i);
    return out;
  }
};

Tensor tensor_of(DType dtype, std::vector<int64_t> values) {
  Tensor t(dtype, Shape{1, static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) t.set_int(static_cast<int64_t>(i), values[i]);
  return t;
}

TEST_CASE("ConstantInputs: a constant takes its own place among the inputs") {
  const auto difference = std::make_shared<Difference>();
  const Tensor x = tensor_of(DType::int32, {1, 2, 3});
  const Tensor constant = tensor_of(DType::int8, {10, 20, 30});
  const ConstantInputs first(difference, {constant, std::nullopt});
  Tensor out(DType::int32, Shape{1, 3});
  const Tensor* const inputs[] = {&x};
  first.run(inputs, out, {});
  CHECK(out.int_at(0) == 9);
  CHECK(out.int_at(2) == 27);
  CHECK(first.explain(inputs, 1).result == 18);
  CHECK(first.kind() == "sub");
  CHECK(first.input_dtype(0) == DType::int32);
  CHECK_FALSE(first.input_dtype(1));
  const Shape shapes[] = {x.shape()};
  CHECK(first.output_shape(shapes) == x.shape());
}

TEST_CASE("ConstantInputs: as many inputs as are not constant") {
  const ConstantInputs op(std::make_shared<Difference>(),
                          {std::nullopt, tensor_of(DType::int32, {1})});
  const Shape shapes[] = {Shape{1, 1}, Shape{1, 1}};
  CHECK_THROWS_WITH_AS(op.output_shape(shapes), doctest::Contains("2 inputs"), Error);
}

}  // namespace
}  // namespace facsim::sim
