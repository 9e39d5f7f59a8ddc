// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/core/parallel.h"

namespace facsim::fused::kernels {

// Passes over weights [channels, inner], parallel over channels, with the same bits on every target
// and for any number of threads.

/// Smallest and largest weight of each channel. False, and the ranges unspecified, if a weight is
/// not finite.
bool channel_ranges(int64_t channels, int64_t inner, const float* w, float* min, float* max,
                    sim::ThreadPool* pool);

/// out = w * factor[c].
void scale_rows(int64_t channels, int64_t inner, const float* w, const float* factor, float* out,
                sim::ThreadPool* pool);

/// What a weight quantizer's straight-through gradient leaves, and what gamma's gradient needs:
///   passed = where inside, gradient, else 0;   grad = factor[c] * passed
///   passed_w[c] = sum passed * w;   gradient_wq[c] = sum gradient * wq
/// Sums in float64: eight interleaved ones, added in order, then the rest of the channel.
struct WeightGradient {
  int64_t channels = 0, inner = 0;
  const float* gradient = nullptr;
  const uint8_t* inside = nullptr;
  const float* w = nullptr;
  const float* wq = nullptr;
  const float* factor = nullptr;
  float* grad = nullptr;
  double* passed_w = nullptr;
  double* gradient_wq = nullptr;
};
void masked_weight_gradient(const WeightGradient& pass, sim::ThreadPool* pool);

}  // namespace facsim::fused::kernels
