// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "fused/linear_parts.h"
#include "quant/fake_quantize/fake_quantizer.h"

namespace facsim::fused {

/// Weights with batch norm folded into them: w * f, f = gamma / sqrt(running_var + eps) per output
/// channel, in float32 in PyTorch's order of operations; without batch norm f = 1.
struct FoldedWeight {
  std::vector<float> factor;      ///< f per output channel, or what stands for it
  std::vector<bool> independent;  ///< true where `factor` does not follow gamma
  Tensor scaled;                  ///< w * factor
  /// Of `scaled`, per channel; empty if a weight is not finite.
  quant::Range range;
  quant::FakeQuantized quantized;
  quant::QParams qparams;

  float weight_scale(size_t channel) const {
    return qparams.scale[qparams.scale.size() == 1 ? 0 : channel];
  }
};

/// gamma / sqrt(running_var + eps), or 1 without batch norm.
std::vector<float> fold_factor(const LinearParts& parts);

/// What stands for f while training on batch statistics, where a channel's gamma is 0 or so small
/// that its folded weights would vanish below the smallest scale: such a channel could never
/// recover. Its weights are then taken unscaled (factor 1 with gamma's sign; where all channels
/// share one scale, a factor that leaves the others' range alone). Batch normalization cancels the
/// factor.
/// `unscaled`: the range of w per channel.
void keep_alive(const LinearParts& parts, const quant::TensorSpec& spec,
                const quant::Range& unscaled, FoldedWeight& weight);

/// w * factor per output channel.
Tensor scale_channels(const Tensor& w, std::span<const float> factor, sim::ThreadPool* pool);

enum class Alive { as_folded, kept };
/// Factor (with keep_alive if `kept`), scaled weights and their range.
FoldedWeight fold_weight(const LinearParts& parts, const quant::TensorSpec& spec, Alive alive,
                         sim::ThreadPool* pool);
/// The quantizer's observer takes the range of weight.scaled. Error bad_value if it is not finite.
void observe_weight(const FoldedWeight& weight, quant::FakeQuantizer& quantizer);

/// The bias of the folded layer, exact in float64 from the float32 parameters:
/// beta + f * (b - running_mean), or b; empty if there is neither.
std::vector<double> folded_bias(const LinearParts& parts, std::span<const float> factor);

}  // namespace facsim::fused
