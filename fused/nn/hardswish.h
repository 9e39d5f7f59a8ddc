// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/activation_module.h"

namespace facsim::fused::nn {

/// PyTorch's Hardswish: x * min(max(x + 3, 0), 6) / 6.
class Hardswish final : public ActivationModule {
 public:
  Hardswish();
};

}  // namespace facsim::fused::nn
