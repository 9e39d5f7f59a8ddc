// SPDX-License-Identifier: Apache-2.0
#include "fused/linear_op.h"

namespace facsim::fused {

int64_t LinearOp::fan_in() const { return weight_shape().numel() / out_channels(); }

}  // namespace facsim::fused
