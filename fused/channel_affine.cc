// SPDX-License-Identifier: Apache-2.0
#include "fused/channel_affine.h"

#include <algorithm>
#include <cmath>

#include "fused/kernels/channel_pass.h"

namespace facsim::fused {

BatchStatistics batch_statistics(const Tensor& z, int64_t channels, sim::ThreadPool* pool) {
  BatchStatistics out;
  out.n = z.numel() / channels;
  out.mean.resize(static_cast<size_t>(channels));
  out.variance.resize(static_cast<size_t>(channels));
  std::vector<double> squares(static_cast<size_t>(channels));
  kernels::channel_moments(out.n, channels, z.data<float>(), out.mean.data(), squares.data(), pool);
  const auto n = static_cast<double>(out.n);
  for (size_t c = 0; c < out.mean.size(); ++c) {
    const double shift = out.mean[c] / n;
    out.mean[c] = z.data<float>()[c] + shift;
    out.variance[c] = std::max(0.0, squares[c] / n - shift * shift);
  }
  return out;
}

NormAffine batch_affine(const BatchNorm& bn, const BatchStatistics& z,
                        std::span<const float> factor) {
  NormAffine out;
  for (size_t c = 0; c < z.mean.size(); ++c) {
    const double gamma = bn.weight.value.data<float>()[c];
    const double f = factor.empty() ? 1.0 : static_cast<double>(factor[c]);
    const double inverse = 1.0 / std::sqrt(z.variance[c] + static_cast<double>(bn.eps) * f * f);
    const double scale = (factor.empty() ? gamma : std::fabs(gamma)) * inverse;
    out.scale.push_back(static_cast<float>(scale));
    out.offset.push_back(static_cast<float>(bn.bias.value.data<float>()[c] - scale * z.mean[c]));
    out.center.push_back(static_cast<float>(z.mean[c]));
    out.inverse.push_back(static_cast<float>(inverse));
  }
  return out;
}

NormAffine running_affine(const BatchNorm& bn, std::span<const float> bias) {
  NormAffine out;
  const std::vector<float> std = bn.running_std();
  for (size_t c = 0; c < std.size(); ++c) {
    const float scale = bn.weight.value.data<float>()[c] / std[c];
    const float center = bn.running_mean.value.data<float>()[c] - (bias.empty() ? 0.0f : bias[c]);
    out.scale.push_back(scale);
    out.offset.push_back(bn.bias.value.data<float>()[c] - scale * center);
    out.center.push_back(center);
    out.inverse.push_back(1.0f / std[c]);
  }
  return out;
}

BatchStatistics unscaled(const BatchStatistics& z, std::span<const float> factor,
                         std::span<const float> bias) {
  BatchStatistics out = z;
  for (size_t c = 0; c < z.mean.size(); ++c) {
    const double f = factor.empty() ? 1.0 : static_cast<double>(factor[c]);
    out.mean[c] = z.mean[c] / f + (bias.empty() ? 0.0 : static_cast<double>(bias[c]));
    out.variance[c] = z.variance[c] / (f * f);
  }
  return out;
}

}  // namespace facsim::fused
