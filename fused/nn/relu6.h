// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/activation_module.h"

namespace facsim::fused::nn {

/// min(max(x, 0), 6): what a fusion pattern carries.
struct ReLU6Form {
  static constexpr std::string_view kOp = "ReLU6";
  explicit ReLU6Form(const backends::FloatNode& /*node*/) {}
  ClampForm integer_form() const;
};

/// PyTorch's ReLU6.
class ReLU6 final : public ActivationModule {
 public:
  ReLU6();
};

}  // namespace facsim::fused::nn
