// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/conv_relu2d.h"
#include "fused/nn/relu.h"
#include "fused/nn/relu6.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

FusionPattern conv_relu2d_pattern() {
  FusionPattern pattern = make_pattern<nn::ReLUForm, nn::ReLU6Form>(
      "ConvReLU2d", {{Role::linear, "Conv2d", {}}, {Role::activation, "ReLU", {}}});
  pattern.to_float = [](LinearParts parts) {
    return std::make_unique<nni::ConvReLU2d>(std::move(parts));
  };
  pattern.to_qat = [](const FusedLinear& module, const QConfig& qconfig) {
    return nniqat::ConvReLU2d::from_float(dynamic_cast<const nni::ConvReLU2d&>(module), qconfig);
  };
  return pattern;
}

}  // namespace facsim::fused
