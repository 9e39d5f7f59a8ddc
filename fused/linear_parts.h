// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include "fused/activation.h"
#include "fused/batch_norm.h"
#include "fused/linear_op.h"

namespace facsim::fused {

/// What every fused module consists of: linear op, optional per-channel affine, optional addition
/// of a second input, activation (design: one mathematics for all patterns). Float modules and
/// their QAT twins hold the same parts.
struct LinearParts {
  std::shared_ptr<const LinearOp> op;
  Parameter weight;               ///< OHWI or [O, I]
  std::optional<Parameter> bias;  ///< [O]
  std::optional<BatchNorm> bn;
  bool adds = false;  ///< a second input of the output's shape is added before the activation
  Activation activation;

  /// Zero weights; `with_bias` as PyTorch's constructor argument.
  enum class Bias { absent, present };
  LinearParts(std::shared_ptr<const LinearOp> linear_op, Bias with_bias);

  /// Copies every parameter and statistic.
  LinearParts clone() const;
  /// weight, bias, bn.weight, bn.bias.
  std::vector<Parameter*> parameters();
  std::vector<Buffer*> buffers();
  /// PyTorch's Conv2d and Linear: weight and bias uniform in +-1/sqrt(fan_in).
  void reset(Random& random);
  /// The linear op's bias of channel c, 0 if absent.
  float bias_of(size_t c) const { return bias ? bias->value.data<float>()[c] : 0.0f; }
};

}  // namespace facsim::fused
