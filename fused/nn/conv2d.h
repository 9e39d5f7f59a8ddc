// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/conv2d_op.h"
#include "fused/fused_linear.h"

namespace facsim::fused::nn {

/// PyTorch's Conv2d in float32; depthwise by groups == in_channels.
class Conv2d final : public FusedLinear {
 public:
  Conv2d(const Conv2dGeometry& geometry, LinearParts::Bias bias);
};

}  // namespace facsim::fused::nn
