// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/activation_module.h"

namespace facsim::fused::nn {

/// max(x, 0): what a fusion pattern carries.
struct ReLUForm {
  static constexpr std::string_view kOp = "ReLU";
  explicit ReLUForm(const backends::FloatNode& /*node*/) {}
  ClampForm integer_form() const;
};

/// PyTorch's ReLU.
class ReLU final : public ActivationModule {
 public:
  ReLU();
};

}  // namespace facsim::fused::nn
