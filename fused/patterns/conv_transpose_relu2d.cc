// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/relu.h"
#include "fused/nn/relu6.h"
#include "fused/patterns/pattern.h"

namespace facsim::fused {

/// Its modules are FusedLinear and QatFusedLinear under its name.
FusionPattern conv_transpose_relu2d_pattern() {
  return make_pattern<nn::ReLUForm, nn::ReLU6Form>(
      "ConvTransposeReLU2d",
      {{Role::linear, "ConvTranspose2d", {}}, {Role::activation, "ReLU", {}}});
}

}  // namespace facsim::fused
