// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/fused_linear.h"

namespace facsim::fused::nni {

/// Conv2d + BatchNorm2d (PyTorch's nni.ConvBn2d), float32.
class ConvBn2d final : public FusedLinear {
 public:
  /// Error bad_value if the parts are not those of a ConvBn2d.
  explicit ConvBn2d(LinearParts parts);
};

}  // namespace facsim::fused::nni
