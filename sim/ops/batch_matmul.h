// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/conv2d.h"

namespace facsim::sim {

struct BatchMatmulParams {
  IntType lhs_type = kInt8, rhs_type = kInt8;  ///< up to 16 bits
  int64_t lhs_zero_point = 0, rhs_zero_point = 0;
  bool transpose_lhs = false, transpose_rhs = false;  ///< the last two axes are stored swapped
  Accumulator accumulator;
  Requantizer requantize;  ///< per tensor, or per column of the output
};

/// acc[..., m, n] = sum_k (lhs[..., m, k] - zl) * (rhs[..., k, n] - zr), k ascending; then
/// requantize. Leading axes broadcast as numpy's. Each product of two matrices is a 1x1 convolution
/// whose weights are the columns of rhs: the same norm and the same kernels.
/// Source: TFLite batch_matmul.h, CMSIS-NN arm_batch_matmul_s8, arm_batch_matmul_s16.
class BatchMatmul final : public Op {
 public:
  /// Errors as Conv2d.
  explicit BatchMatmul(BatchMatmulParams params);
  std::string_view kind() const override { return "batch_matmul"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.requantize.output_type().storage(); }
  std::optional<DType> input_dtype(int index) const override {
    return index == 0 ? params_.lhs_type.storage() : params_.rhs_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  int64_t macs(std::span<const Shape> inputs) const override;
  const BatchMatmulParams& params() const { return params_; }

 private:
  struct Matrices;
  /// Matrix `index` of rhs [N, 1, 1, K] as the weights of a convolution.
  Conv2d convolution(const Matrices& matrices, const Tensor& rhs, int64_t index) const;

  BatchMatmulParams params_;
};

}  // namespace facsim::sim
