// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/fused_linear.h"
#include "fused/matmul_op.h"

namespace facsim::fused::nn {

/// PyTorch's Linear in float32.
class Linear final : public FusedLinear {
 public:
  Linear(int64_t in_features, int64_t out_features, LinearParts::Bias bias);
};

}  // namespace facsim::fused::nn
