// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/relu.h"

namespace facsim::fused::nn {

ClampForm ReLUForm::integer_form() const {
  return {backends::Activation::relu, 0.0f, std::numeric_limits<float>::infinity()};
}

ReLU::ReLU() : ActivationModule("nn.ReLU", activation_of<ReLUForm>({})) {}

}  // namespace facsim::fused::nn
