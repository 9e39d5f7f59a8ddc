// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// An op some of whose inputs are constants (x + constant): takes the others, in their order.
///
/// `constants` has one entry per input of `op`; empty: computed. A constant has batch 1 and is
/// broadcast by the op. Errors are the op's own.
class ConstantInputs final : public Op, public SourcesOp {
 public:
  ConstantInputs(std::shared_ptr<const Op> op, std::vector<std::optional<Tensor>> constants);
  std::string_view kind() const override { return op_->kind(); }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return op_->output_dtype(); }
  std::optional<DType> input_dtype(int index) const override;
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  int64_t macs(std::span<const Shape> inputs) const override;
  const Op& op() const { return *op_; }
  const std::vector<std::optional<Tensor>>& constants() const { return constants_; }

 private:
  std::vector<const Tensor*> all_inputs(std::span<const Tensor* const> inputs) const;
  std::vector<Shape> all_shapes(std::span<const Shape> inputs) const;
  size_t computed() const;

  std::shared_ptr<const Op> op_;
  std::vector<std::optional<Tensor>> constants_;
};

}  // namespace facsim::sim
