// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// Axis i of the output is axis permutation[i] of the input. Codes do not change.
struct TransposeParams {
  DType dtype = DType::int8;
  std::vector<int> permutation;  ///< each of 0..rank-1 once, up to 8
};
class Transpose final : public Op, public SourcesOp {
 public:
  /// Error bad_value: no permutation.
  explicit Transpose(TransposeParams params);
  std::string_view kind() const override { return "transpose"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.dtype; }
  std::optional<DType> input_dtype(int /*index*/) const override { return params_.dtype; }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const TransposeParams& params() const { return params_; }

 private:
  TransposeParams params_;
};

}  // namespace facsim::sim
