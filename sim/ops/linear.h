// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/conv2d.h"

namespace facsim::sim {

struct LinearParams {
  IntType input_type = kInt8, weight_type = kInt8;
  int64_t input_zero_point = 0;
  std::vector<int64_t> weight_zero_point{0};  ///< 1 or O
  Accumulator accumulator;
  Tensor weights;  ///< [O, I]
  Tensor bias;     ///< [O] or empty
  Requantizer requantize;
};

/// acc[n, o] = sum_i (x[n, i] - zx) * (w[o, i] - zw[o]) + bias[o], taps in the order of i; then
/// requantize. Input [N, I] (any rank >= 2 whose trailing extents multiply to I), output [N, O]; or
/// rows [N, …, I] of rank 3 and more, output [N, …, O].
class Linear final : public Op {
 public:
  explicit Linear(LinearParams params);
  std::string_view kind() const override { return "linear"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  std::optional<DType> input_dtype(int index) const override { return conv_.input_dtype(index); }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  int64_t macs(std::span<const Shape> inputs) const override;
  const Conv2d& conv() const { return conv_; }  ///< the same layer as a 1x1 convolution

 private:
  /// [N, 1, rows, I]. Error shape_mismatch.
  Shape input_as_conv2d(std::span<const Shape> inputs) const;

  Conv2d conv_;
};

}  // namespace facsim::sim
