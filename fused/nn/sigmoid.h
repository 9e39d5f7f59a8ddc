// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/activation_module.h"

namespace facsim::fused::nn {

/// PyTorch's Sigmoid: 1 / (1 + exp(-x)).
class Sigmoid final : public ActivationModule {
 public:
  Sigmoid();
};

}  // namespace facsim::fused::nn
