// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/conv2d.h"

namespace facsim::sim {

/// Maximum over the window's taps inside the image, then clamp. Codes keep their scale and zero
/// point.
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
  std::optional<DType> input_dtype(int /*index*/) const override { return params_.type.storage(); }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  const MaxPool2dParams& params() const { return params_; }

 private:
  MaxPool2dParams params_;
};

}  // namespace facsim::sim
