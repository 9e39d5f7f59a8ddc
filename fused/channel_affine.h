// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "fused/batch_norm.h"

namespace facsim::fused {

/// Mean and biased variance of each channel over the n rows of a batch.
struct BatchStatistics {
  std::vector<double> mean, variance;
  int64_t n = 0;
};
/// Of z [rows, channels] float32: sums around the first row, so that a constant channel has
/// variance 0.
BatchStatistics batch_statistics(const Tensor& z, int64_t channels, sim::ThreadPool* pool);

/// Batch normalization in front of which sits a linear op whose output is z, in float64 per
/// channel.
///
/// With u = z / f + b (f the factor that the weights were scaled by, 1 in float modules; b the
/// linear op's bias), PyTorch's y = gamma (u - mean_u) / sqrt(var_u + eps) + beta equals
///   y = a z + offset,  a = |gamma| r,  r = 1 / sqrt(var_z + eps f^2),  offset = beta - a mean_z
/// for the batch's statistics: b cancels, f is never divided by, its sign (gamma's) sits in z. With
/// the running statistics and scaled weights it is a = 1, offset = beta + f (b - running_mean);
/// unscaled, a = gamma / running_std, offset = beta + a (b - running_mean).
///
/// The backward pass needs x_hat = (z - center) * inverse, the normalised input up to gamma's sign.
struct NormAffine {
  std::vector<float> scale, offset;    ///< y = scale * z + offset
  std::vector<float> center, inverse;  ///< x_hat = (z - center) * inverse
};

/// From the batch's statistics of z; `factor` is f per channel (empty: 1, and then the sign of
/// gamma is in `scale`).
NormAffine batch_affine(const BatchNorm& bn, const BatchStatistics& z,
                        std::span<const float> factor);
/// From the running statistics, unscaled weights; `bias` is b per channel (empty: 0).
NormAffine running_affine(const BatchNorm& bn, std::span<const float> bias);

/// Statistics of u = z / f + b from those of z: what the running statistics take.
BatchStatistics unscaled(const BatchStatistics& z, std::span<const float> factor,
                         std::span<const float> bias);

}  // namespace facsim::fused
