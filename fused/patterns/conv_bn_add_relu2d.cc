// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/conv_bn_add_relu2d.h"
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
  pattern.to_qat = [](const FusedLinear& module, const QConfig& qconfig) {
    return nniqat::ConvBnAddReLU2d::from_float(dynamic_cast<const nni::ConvBnAddReLU2d&>(module),
                                               qconfig);
  };
  return pattern;
}

}  // namespace facsim::fused
