// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/io/npy.h"
#include "fused/module.h"

namespace facsim::fused::train {

enum class OptimizerKind { sgd, adam };
std::string_view to_string(OptimizerKind kind);
std::optional<OptimizerKind> optimizer_from_string(std::string_view word);

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::sgd;
  float momentum = 0.9f;       ///< sgd
  float weight_decay = 1e-4f;  ///< only for tensors of two and more axes: weights, not BN or biases
  float beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f;  ///< adam
};

/// Updates parameters from their gradients, every element in float32 by PyTorch's formulas
/// (torch.optim.SGD without dampening, torch.optim.Adam).
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// The parameters are the same, in the same order, at every call.
  virtual void step(std::span<Parameter* const> parameters, float lr) = 0;
  /// What a checkpoint must hold, and taking it back before the first step.
  virtual backends::NamedTensors state() const = 0;
  virtual void load_state(const backends::NamedTensors& state) = 0;
};

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options);

}  // namespace facsim::fused::train
