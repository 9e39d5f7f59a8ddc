// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/module.h"

namespace facsim::fused::nn {

/// torch.cat along the channels: the last axis of NHWC images and of features.
class Concat final : public Module {
 public:
  std::string type_name() const override { return "nn.Concat"; }
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;

 private:
  std::vector<int64_t> channels_;  // of each input
};

}  // namespace facsim::fused::nn
