// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/module.h"

namespace facsim::fused::nn {

/// Elementwise sum of two float32 tensors of one shape.
class Add final : public Module {
 public:
  std::string type_name() const override { return "nn.Add"; }
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;
};

}  // namespace facsim::fused::nn
