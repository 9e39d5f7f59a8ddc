// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/module.h"

namespace facsim::fused::nn {

/// PyTorch's Flatten of a channel-first tensor: [N, H, W, C] -> [N, C*H*W] in the order c, h, w, so
/// that the weights of a following Linear mean what they mean in PyTorch. Codes keep their
/// parameters.
class Flatten final : public Module {
 public:
  std::string type_name() const override { return "nn.Flatten"; }
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;
  int emit(IntGraphBuilder& builder, std::span<const int> inputs) const override;

 private:
  Shape x_shape_;
};

}  // namespace facsim::fused::nn
