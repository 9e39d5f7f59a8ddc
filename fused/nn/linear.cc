// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/linear.h"

namespace facsim::fused::nn {

Linear::Linear(int64_t in_features, int64_t out_features, LinearParts::Bias bias)
    : FusedLinear("nn.Linear",
                  LinearParts(std::make_shared<MatmulOp>(in_features, out_features), bias)) {}

}  // namespace facsim::fused::nn
