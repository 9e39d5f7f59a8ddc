// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/map.h"
#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// One input of a concatenation: its codes as they are, or brought to the output's scale.
struct ConcatInput {
  DType dtype = DType::int8;
  std::optional<Requantizer> requantize;  ///< per tensor; absent: the codes are copied
};

/// The inputs one behind the other on `axis`; their other extents are equal.
struct ConcatParams {
  int axis = -1;  ///< negative: from the end
  DType output_dtype = DType::int8;
  std::vector<ConcatInput> inputs;
};
class Concat final : public Op, public SourcesOp {
 public:
  /// Error bad_value: no inputs, a copied input of another dtype than the output, a program per
  /// channel or to another dtype.
  explicit Concat(ConcatParams params);
  std::string_view kind() const override { return "concat"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.output_dtype; }
  std::optional<DType> input_dtype(int index) const override;
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const ConcatParams& params() const { return params_; }

 private:
  int axis_of(const Shape& shape) const;

  ConcatParams params_;
  std::vector<std::optional<Map>> maps_;  ///< of the inputs that are requantized
};

}  // namespace facsim::sim
