// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/fused_linear.h"

namespace facsim::fused::nni {

/// Conv2d + ReLU (PyTorch's nni.ConvReLU2d), float32.
class ConvReLU2d final : public FusedLinear {
 public:
  /// Error bad_value if the parts are not those of a ConvReLU2d.
  explicit ConvReLU2d(LinearParts parts);
};

}  // namespace facsim::fused::nni
