// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/conv2d.h"

namespace facsim::sim {

/// acc = sum over the window's taps inside the image of (q - input_zero_point) (0: raw codes),
/// exact; out = requantize(acc) where per-channel arguments are indexed by (number of taps - 1), so
/// that a divisor, a reciprocal or a scale per count is an argument like any other. With
/// `count_include_pad` the number of taps is always kh*kw and padded taps add (padding_value -
/// input_zero_point).
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
  std::optional<DType> input_dtype(int /*index*/) const override {
    return params_.input_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  const AvgPool2dParams& params() const { return params_; }

 private:
  AvgPool2dParams params_;
};

}  // namespace facsim::sim
