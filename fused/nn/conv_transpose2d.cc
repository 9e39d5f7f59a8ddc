// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/conv_transpose2d.h"

namespace facsim::fused::nn {

ConvTranspose2d::ConvTranspose2d(const ConvTranspose2dGeometry& geometry, LinearParts::Bias bias)
    : FusedLinear("nn.ConvTranspose2d",
                  LinearParts(std::make_shared<ConvTranspose2dOp>(geometry), bias)) {}

}  // namespace facsim::fused::nn
