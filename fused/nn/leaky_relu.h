// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/activation_module.h"

namespace facsim::fused::nn {

/// PyTorch's LeakyReLU: x for x > 0, else negative_slope * x. No pattern of the library fuses it;
/// the example does, in the user's own translation unit.
class LeakyReLU final : public ActivationModule {
 public:
  explicit LeakyReLU(float negative_slope = 0.01f);
  float negative_slope() const { return negative_slope_; }

 private:
  float negative_slope_;
};

}  // namespace facsim::fused::nn
