// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/module.h"
#include "sim/ops/conv2d.h"

namespace facsim::fused::nn {

/// PyTorch's MaxPool2d over NHWC, in float32 or on codes, whose parameters pass through (a maximum
/// of codes is the code of the maximum). The gradient goes to the first largest tap in the window's
/// order.
class MaxPool2d final : public Module {
 public:
  explicit MaxPool2d(const sim::Window2d& window);
  std::string type_name() const override { return "nn.MaxPool2d"; }
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;
  int emit(IntGraphBuilder& builder, std::span<const int> inputs) const override;

 private:
  sim::Window2d window_;
  Shape x_shape_;
  Tensor taps_;  // [N, OH, OW, C] uint16: which tap of the window was the largest
};

}  // namespace facsim::fused::nn
