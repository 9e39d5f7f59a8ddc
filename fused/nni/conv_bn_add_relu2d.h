// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/fused_linear.h"

namespace facsim::fused::nni {

/// Conv2d + BatchNorm2d + addition of a second input + ReLU: the end of a residual block, float32.
class ConvBnAddReLU2d final : public FusedLinear {
 public:
  /// Error bad_value if the parts are not those of a ConvBnAddReLU2d.
  explicit ConvBnAddReLU2d(LinearParts parts);
};

}  // namespace facsim::fused::nni
