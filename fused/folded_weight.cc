// SPDX-License-Identifier: Apache-2.0
#include "fused/folded_weight.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace facsim::fused {

std::vector<float> fold_factor(const LinearParts& parts) {
  std::vector<float> factor(static_cast<size_t>(parts.op->out_channels()), 1.0f);
  if (!parts.bn) return factor;
  const std::vector<float> std = parts.bn->running_std();
  for (size_t c = 0; c < factor.size(); ++c) {
    factor[c] = parts.bn->weight.value.data<float>()[c] / std[c];
  }
  return factor;
}

Tensor scale_channels(const Tensor& w, std::span<const float> factor) {
  Tensor out = Tensor::uninitialized(DType::float32, w.shape());
  const int64_t inner = w.numel() / static_cast<int64_t>(factor.size());
  const float* from = w.data<float>();
  float* to = out.data<float>();
  for (const float f : factor) {
    for (int64_t i = 0; i < inner; ++i) *to++ = *from++ * f;
  }
  return out;
}

std::vector<double> folded_bias(const LinearParts& parts, std::span<const float> factor) {
  std::vector<double> bias;
  if (!parts.bn && !parts.bias) return bias;
  for (size_t c = 0; c < factor.size(); ++c) {
    const double b = parts.bias_of(c);
    if (!parts.bn) {
      bias.push_back(b);
      continue;
    }
    const double mean = parts.bn->running_mean.value.data<float>()[c];
    const double beta = parts.bn->bias.value.data<float>()[c];
    bias.push_back(beta + static_cast<double>(factor[c]) * (b - mean));
  }
  return bias;
}

void keep_alive(const LinearParts& parts, const quant::TensorSpec& spec, FoldedWeight& weight) {
  const auto count = weight.factor.size();
  const int64_t inner = parts.weight.value.numel() / static_cast<int64_t>(count);
  const float* w = parts.weight.value.data<float>();
  std::vector<float> largest(count);
  for (size_t c = 0; c < count; ++c, w += inner) {
    for (int64_t i = 0; i < inner; ++i) largest[c] = std::max(largest[c], std::fabs(w[i]));
  }
  // The scale that would hold w * f below the smallest one an observer gives (2^-23).
  const auto steps = static_cast<float>(spec.quant_max());
  const float smallest = std::numeric_limits<float>::epsilon() * steps;
  float range = 0;
  for (size_t c = 0; c < count; ++c) {
    const float size = largest[c] * std::fabs(weight.factor[c]);
    weight.independent[c] = largest[c] > 0 && size < smallest;
    if (!weight.independent[c]) range = std::max(range, size);
  }
  const bool shared = spec.granularity == quant::TensorSpec::Granularity::per_tensor && range > 0;
  for (size_t c = 0; c < count; ++c) {
    if (!weight.independent[c]) continue;
    const float size = shared ? range / largest[c] : 1.0f;
    weight.factor[c] = std::copysign(size, parts.bn->weight.value.data<float>()[c]);
  }
}

}  // namespace facsim::fused
