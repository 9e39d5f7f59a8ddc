// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/fused_linear.h"

namespace facsim::fused::nni {

/// Conv2d + BatchNorm2d + ReLU (PyTorch's nni.ConvBnReLU2d), float32.
class ConvBnReLU2d final : public FusedLinear {
 public:
  /// Error bad_value if the parts are not those of a ConvBnReLU2d.
  explicit ConvBnReLU2d(LinearParts parts);
};

}  // namespace facsim::fused::nni
