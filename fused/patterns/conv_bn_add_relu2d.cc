// SPDX-License-Identifier: Apache-2.0
#include "fused/nni/conv_bn_add_relu2d.h"
#include "fused/nn/relu.h"
#include "fused/nn/relu6.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

FusionPattern conv_bn_add_relu2d_pattern() {
  FusionPattern pattern = make_pattern<nn::ReLUForm, nn::ReLU6Form>(
      "ConvBnAddReLU2d", {{Role::linear, "Conv2d", {}},
                          {Role::affine, "BatchNorm2d", {}},
                          {Role::add, "Add", {}},
                          {Role::activation, "ReLU", {}}});
  pattern.to_float = [](LinearParts parts) {
    return std::make_unique<nni::ConvBnAddReLU2d>(std::move(parts));
  };
  return pattern;
}

}  // namespace facsim::fused
