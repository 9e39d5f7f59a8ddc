// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/conv2d.h"

namespace facsim::sim {

/// Maximum over the window's taps inside the image, then clamp. Codes keep their scale and zero point.
struct MaxPool2dParams {
  Window2d window;
  IntType type = kInt8;
  int64_t clamp_min = -128, clamp_max = 127;
};
class MaxPool2d final : public Op {
 public:
  explicit MaxPool2d(MaxPool2dParams params);
  std::string_view kind() const override { return "max_pool2d"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;

 private:
  MaxPool2dParams params_;
};

/// acc = sum over the window's taps inside the image of (q - input_zero_point) (0: raw codes), exact;
/// out = requantize(acc) where per-channel arguments are indexed by (number of taps - 1), so that a
/// divisor, a reciprocal or a scale per count is an argument like any other. With `count_include_pad`
/// the number of taps is always kh*kw and padded taps add (padding_value - input_zero_point).
struct AvgPool2dParams {
  Window2d window;
  bool global = false;  ///< the window is the whole image, whatever its extent
  IntType input_type = kInt8;
  int64_t input_zero_point = 0;
  bool count_include_pad = false;
  int64_t padding_value = 0;
  Requantizer requantize;  ///< arguments of length 1 or kh*kw
};
class AvgPool2d final : public Op {
 public:
  explicit AvgPool2d(AvgPool2dParams params);
  std::string_view kind() const override { return "avg_pool2d"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;

 private:
  AvgPool2dParams params_;
};

/// Named algorithm ort.dequantized_average, version 1: ONNX Runtime's QLinearAveragePool. Each tap
/// (q - zx)*sx in float32, summed in float32 in window order (kh, kw), divided by the count, divided by
/// y_scale, + zy, half_even, clamped. Source: vectors/FORMAT.md deq_f32_pool_zp_then_rne.
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
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;

 private:
  AvgPool2dDequantizedParams params_;
};

}  // namespace facsim::sim
