// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/fused_linear.h"

namespace facsim::fused::nni {

/// Linear + ReLU (PyTorch's nni.LinearReLU), float32.
class LinearReLU final : public FusedLinear {
 public:
  /// Error bad_value if the parts are not those of a LinearReLU.
  explicit LinearReLU(LinearParts parts);
};

}  // namespace facsim::fused::nni
