// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/conv_add_relu2d.h"
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
  pattern.to_qat = [](const FusedLinear& module, const QConfig& qconfig) {
    return nniqat::ConvAddReLU2d::from_float(dynamic_cast<const nni::ConvAddReLU2d&>(module),
                                             qconfig);
  };
  return pattern;
}

}  // namespace facsim::fused
