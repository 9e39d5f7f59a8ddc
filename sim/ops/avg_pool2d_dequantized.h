// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/conv2d.h"

namespace facsim::sim {

/// Named algorithm ort.dequantized_average, version 1: ONNX Runtime's QLinearAveragePool. Each tap
/// (q - zx)*sx in float32, summed in float32 in window order (kh, kw), divided by the count,
/// divided by y_scale, + zy, half_even, clamped. Source: vectors/FORMAT.md
/// deq_f32_pool_zp_then_rne.
struct AvgPool2dDequantizedParams {
  Window2d window;
  IntType input_type = kUint8, output_type = kUint8;
  float input_scale = 1, output_scale = 1;
  int64_t input_zero_point = 0, output_zero_point = 0;
  bool count_include_pad = false;
};
class AvgPool2dDequantized final : public Op {
 public:
  explicit AvgPool2dDequantized(AvgPool2dDequantizedParams params);
  std::string_view kind() const override { return "avg_pool2d_dequantized"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  std::optional<DType> input_dtype(int /*index*/) const override {
    return params_.input_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  const AvgPool2dDequantizedParams& params() const { return params_; }

 private:
  AvgPool2dDequantizedParams params_;
};

}  // namespace facsim::sim
