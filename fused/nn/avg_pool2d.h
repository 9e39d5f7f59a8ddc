// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/average_pool.h"

namespace facsim::fused::nn {

/// PyTorch's AvgPool2d (count_include_pad, its default).
class AvgPool2d final : public AveragePool {
 public:
  explicit AvgPool2d(const sim::Window2d& window) : window_(window) {}
  std::string type_name() const override { return "nn.AvgPool2d"; }
  int emit(IntGraphBuilder& builder, std::span<const int> inputs) const override;

 protected:
  sim::Window2d window_for(const Shape& /*x*/) const override { return window_; }

 private:
  sim::Window2d window_;
};

}  // namespace facsim::fused::nn
