// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/channel_affine.h"
#include "fused/linear_parts.h"

namespace facsim::fused {

/// The float module of every pattern: y = activation(affine(op(x, weight) + bias) [+ addend]).
///
/// Inputs: x and, if the parts add, the addend of the output's shape. Forward is the linear op, one
/// pass for the batch's statistics and one pass for affine, addition and clamp; backward one pass
/// for the sums, one for dz, and the linear op's two gradients. Named modules (nn, nni) derive from
/// it.
class FusedLinear : public Module {
 public:
  FusedLinear(std::string type_name, LinearParts parts);

  std::string type_name() const override { return type_name_; }
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;
  std::vector<Parameter*> parameters() override { return parts_.parameters(); }
  std::vector<Buffer*> buffers() override { return parts_.buffers(); }
  void reset_parameters(Random& random) override { parts_.reset(random); }

  const LinearParts& parts() const { return parts_; }
  LinearParts& parts() { return parts_; }

 private:
  std::string type_name_;
  LinearParts parts_;

  // Kept by forward for backward.
  Tensor x_, z_, y_;
  Tensor before_activation_;  // only for activations that are no clamp
  NormAffine affine_;         // empty vectors without batch norm
  bool batch_ = false;
};

}  // namespace facsim::fused
