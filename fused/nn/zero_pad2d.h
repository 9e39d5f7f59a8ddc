// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "fused/module.h"

namespace facsim::fused::nn {

/// PyTorch's ZeroPad2d over NHWC: rows and columns of real 0 around the image. On codes their
/// parameters pass through and the profile's pad rules say which code is 0.
class ZeroPad2d final : public Module {
 public:
  /// PyTorch's order: left, right, top, bottom.
  explicit ZeroPad2d(std::array<int64_t, 4> padding);

  std::string type_name() const override { return "nn.ZeroPad2d"; }
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;
  int emit(IntGraphBuilder& builder, std::span<const int> inputs) const override;

 private:
  Shape output_shape(const Shape& x) const;

  std::array<int64_t, 4> padding_;
  Shape x_shape_;
};

}  // namespace facsim::fused::nn
