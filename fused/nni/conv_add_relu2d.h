// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/fused_linear.h"

namespace facsim::fused::nni {

/// Conv2d + addition of a second input + ReLU (PyTorch's nni.ConvAddReLU2d), float32.
class ConvAddReLU2d final : public FusedLinear {
 public:
  /// Error bad_value if the parts are not those of a ConvAddReLU2d.
  explicit ConvAddReLU2d(LinearParts parts);
};

}  // namespace facsim::fused::nni
