// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "quant/fake_quantize/fake_quantizer.h"

namespace facsim::quant {

/// Scale (and, where the spec has one, zero point) are trained: Learned Step size Quantization,
/// Esser et al. 2020. The observer only gives the start.
///   in use: scale = max(|s|, 2^-23), zero_point = half_even(clamp(z)), 0 for symmetric specs
///   gradients: range_gradient with factor 1 / sqrt(N * quant_max)
/// N counts the elements per scale (`per_scale`: MQBench LearnableFakeQuantize) or of the whole
/// tensor
/// (`whole_tensor`: PyTorch _LearnableFakeQuantize).
class LearnableFakeQuantize final : public FakeQuantizer {
 public:
  enum class Count { per_scale, whole_tensor };
  LearnableFakeQuantize(TensorSpec spec, std::unique_ptr<Observer> observer,
                        Count count = Count::per_scale);
  std::string_view name() const override { return "learnable"; }
  QParams qparams() const override;
  Tensor backward(const Tensor& dy, const Tensor& x, const FakeQuantized& forward) override;
  std::vector<Learned> learned() override;
  /// 1 / sqrt(N * quant_max) for a tensor of `numel` elements.
  double gradient_factor(int64_t numel) const;
  /// Sets gradients computed elsewhere (activations in the integer forward).
  void set_gradient(const RangeGradient& gradient);

 private:
  Count count_;
  Tensor scale_grad_, zero_point_grad_;  // [C] float32
};

}  // namespace facsim::quant
