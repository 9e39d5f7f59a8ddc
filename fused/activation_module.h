// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/activation.h"
#include "fused/module.h"

namespace facsim::fused {

/// An activation as a module of its own. On codes a clamp keeps their scale and zero point; another
/// function needs a quantizer and so must be fused.
class ActivationModule : public Module {
 public:
  ActivationModule(std::string type_name, Activation activation);

  std::string type_name() const override { return type_name_; }
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;
  int emit(IntGraphBuilder& builder, std::span<const int> inputs) const override;
  const Activation& activation() const { return activation_; }

 private:
  std::string type_name_;
  Activation activation_;
  Tensor x_, y_;              // x_: before an activation that is no clamp; y_: real or codes
  float low_ = 0, high_ = 0;  // gradient passes strictly between
};

}  // namespace facsim::fused
