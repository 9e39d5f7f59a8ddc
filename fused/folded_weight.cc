// SPDX-License-Identifier: Apache-2.0
#include "fused/folded_weight.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fused/kernels/weight_pass.h"

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

Tensor scale_channels(const Tensor& w, std::span<const float> factor, sim::ThreadPool* pool) {
  Tensor out = Tensor::uninitialized(DType::float32, w.shape());
  const auto channels = static_cast<int64_t>(factor.size());
  kernels::scale_rows(channels, w.numel() / channels, w.data<float>(), factor.data(),
                      out.data<float>(), pool);
  return out;
}

FoldedWeight fold_weight(const LinearParts& parts, const quant::TensorSpec& spec, Alive alive,
                         sim::ThreadPool* pool) {
  FoldedWeight weight;
  const Tensor& w = parts.weight.value;
  weight.factor = fold_factor(parts);
  const size_t count = weight.factor.size();
  const auto channels = static_cast<int64_t>(count);
  weight.independent.assign(count, false);
  quant::Range range{std::vector<float>(count), std::vector<float>(count)};
  bool finite = kernels::channel_ranges(channels, w.numel() / channels, w.data<float>(),
                                        range.min.data(), range.max.data(), pool);
  if (alive == Alive::kept) keep_alive(parts, spec, range, weight);
  weight.scaled = parts.bn ? scale_channels(w, weight.factor, pool) : w;
  // Rounding keeps the order, so the ends of the scaled weights are the scaled ends.
  for (size_t c = 0; c < count && parts.bn; ++c) {
    float& min = range.min[c];
    float& max = range.max[c];
    min *= weight.factor[c];
    max *= weight.factor[c];
    if (weight.factor[c] < 0) std::swap(min, max);
    finite = finite && std::isfinite(min) && std::isfinite(max);
  }
  if (finite) weight.range = std::move(range);
  return weight;
}

void observe_weight(const FoldedWeight& weight, quant::FakeQuantizer& quantizer) {
  const int axis = quantizer.observer().channel_axis();
  const auto& [min, max] = weight.range;
  if (min.empty() || axis > 0) return quantizer.observe(weight.scaled);
  if (axis == 0) return quantizer.observe_range(min, max);
  const float low = *std::min_element(min.begin(), min.end());
  const float high = *std::max_element(max.begin(), max.end());
  quantizer.observe_range({&low, 1}, {&high, 1});
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

void keep_alive(const LinearParts& parts, const quant::TensorSpec& spec,
                const quant::Range& unscaled, FoldedWeight& weight) {
  const auto count = weight.factor.size();
  std::vector<float> largest(count);
  for (size_t c = 0; c < count; ++c) largest[c] = std::max(-unscaled.min[c], unscaled.max[c]);
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
