// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/module.h"
#include "sim/ops/conv2d.h"

namespace facsim::fused {

/// Average over windows of NHWC, in float32 or on codes. On codes the parameters pass through and
/// the profile rounds; the gradient is that of the real average.
class AveragePool : public Module {
 public:
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;

 protected:
  /// The window over an image of this shape (N, H, W, C).
  virtual sim::Window2d window_for(const Shape& x) const = 0;

 private:
  Shape x_shape_;
};

}  // namespace facsim::fused
