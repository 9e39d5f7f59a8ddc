// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/conv2d.h"

namespace facsim::sim {

enum class RequantizeUse { used, unused };

/// Everything about the parameters that does not depend on the input or on the range of the
/// accumulators. Errors as Conv2d's constructor documents.
void check_conv2d_params(const Conv2dParams& params, RequantizeUse requantize);

}  // namespace facsim::sim
