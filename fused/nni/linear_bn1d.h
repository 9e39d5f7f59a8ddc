// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/fused_linear.h"

namespace facsim::fused::nni {

/// Linear + BatchNorm1d (PyTorch's nni.LinearBn1d), float32.
class LinearBn1d final : public FusedLinear {
 public:
  /// Error bad_value if the parts are not those of a LinearBn1d.
  explicit LinearBn1d(LinearParts parts);
};

}  // namespace facsim::fused::nni
