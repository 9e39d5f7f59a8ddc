// SPDX-License-Identifier: Apache-2.0
#include "fused/nni/conv_add_relu2d.h"
#include "fused/nn/relu.h"
#include "fused/nn/relu6.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

FusionPattern conv_add_relu2d_pattern() {
  FusionPattern pattern = make_pattern<nn::ReLUForm, nn::ReLU6Form>(
      "ConvAddReLU2d",
      {{Role::linear, "Conv2d", {}}, {Role::add, "Add", {}}, {Role::activation, "ReLU", {}}});
  pattern.to_float = [](LinearParts parts) {
    return std::make_unique<nni::ConvAddReLU2d>(std::move(parts));
  };
  return pattern;
}

}  // namespace facsim::fused
