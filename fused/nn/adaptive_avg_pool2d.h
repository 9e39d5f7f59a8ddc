// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/average_pool.h"

namespace facsim::fused::nn {

/// PyTorch's AdaptiveAvgPool2d(1): the mean of the whole image, [N, 1, 1, C].
class AdaptiveAvgPool2d final : public AveragePool {
 public:
  std::string type_name() const override { return "nn.AdaptiveAvgPool2d"; }
  int emit(IntGraphBuilder& builder, std::span<const int> inputs) const override;

 protected:
  sim::Window2d window_for(const Shape& x) const override;
};

}  // namespace facsim::fused::nn
