// SPDX-License-Identifier: Apache-2.0
#include "fused/patterns/pattern.h"

namespace facsim::fused {

/// Its modules are FusedLinear and QatFusedLinear under its name.
FusionPattern conv_transpose_bn2d_pattern() {
  return make_pattern<>("ConvTransposeBn2d",
                        {{Role::linear, "ConvTranspose2d", {}}, {Role::affine, "BatchNorm2d", {}}});
}

}  // namespace facsim::fused
