// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/conv2d.h"

namespace facsim::fused::nn {

Conv2d::Conv2d(const Conv2dGeometry& geometry, LinearParts::Bias bias)
    : FusedLinear("nn.Conv2d", LinearParts(std::make_shared<Conv2dOp>(geometry), bias)) {}

}  // namespace facsim::fused::nn
