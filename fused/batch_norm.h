// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "fused/module.h"

namespace facsim::fused {

/// Parameters and running statistics of PyTorch's BatchNorm1d/2d, wherever they live: in a module
/// of their own or inside a fused one.
struct BatchNorm {
  explicit BatchNorm(int64_t features, float eps = 1e-5f, std::optional<float> momentum = 0.1f,
                     std::string prefix = "");

  Parameter weight, bias;            ///< gamma, beta [C]
  Buffer running_mean, running_var;  ///< [C]
  Buffer num_batches_tracked;        ///< [1] int64
  float eps;
  std::optional<float> momentum;  ///< absent: cumulative average
  bool frozen = false;            ///< statistics never move (FrozenBatchNorm2d, freeze_bn)

  int64_t features() const { return weight.value.numel(); }
  BatchNorm clone(std::string prefix) const;
  std::vector<Parameter*> parameters() { return {&weight, &bias}; }
  std::vector<Buffer*> buffers();

  /// True if this pass normalises with the batch's statistics and moves the running ones.
  bool uses_batch(const Context& context) const;
  /// sqrt(running_var + eps), in float32 as PyTorch computes it.
  std::vector<float> running_std() const;
  /// Moves the running statistics as PyTorch does: with a = momentum, or 1 / num_batches_tracked,
  ///   running = (1 - a) * running + a * batch, the variance unbiased: biased * n / (n - 1).
  /// Error bad_value if n < 2.
  void update(std::span<const double> mean, std::span<const double> biased_variance, int64_t n);
};

}  // namespace facsim::fused
