// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/conv_transpose2d_op.h"
#include "fused/fused_linear.h"

namespace facsim::fused::nn {

/// PyTorch's ConvTranspose2d in float32.
class ConvTranspose2d final : public FusedLinear {
 public:
  ConvTranspose2d(const ConvTranspose2dGeometry& geometry, LinearParts::Bias bias);
};

}  // namespace facsim::fused::nn
