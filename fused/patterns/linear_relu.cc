// SPDX-License-Identifier: Apache-2.0
#include "fused/nniqat/linear_relu.h"
#include "fused/nn/relu.h"
#include "fused/nn/relu6.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

FusionPattern linear_relu_pattern() {
  FusionPattern pattern = make_pattern<nn::ReLUForm, nn::ReLU6Form>(
      "LinearReLU", {{Role::linear, "Linear", {}}, {Role::activation, "ReLU", {}}});
  pattern.to_float = [](LinearParts parts) {
    return std::make_unique<nni::LinearReLU>(std::move(parts));
  };
  pattern.to_qat = [](const FusedLinear& module, const QConfig& qconfig) {
    return nniqat::LinearReLU::from_float(dynamic_cast<const nni::LinearReLU&>(module), qconfig);
  };
  return pattern;
}

}  // namespace facsim::fused
