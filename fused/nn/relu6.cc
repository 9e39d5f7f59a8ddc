// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/relu6.h"

namespace facsim::fused::nn {

ClampForm ReLU6Form::integer_form() const { return {backends::Activation::relu6, 0.0f, 6.0f}; }

ReLU6::ReLU6() : ActivationModule("nn.ReLU6", activation_of<ReLU6Form>({})) {}

}  // namespace facsim::fused::nn
