// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/core/parallel.h"
#include "sim/core/types.h"

namespace facsim::fused::kernels {

// Single passes over [rows, channels] matrices (NHWC with rows = N*H*W) around a linear op: what
// batch normalization, activations and their gradients cost in memory traffic. Rows are cut into
// chunks that depend on the shape alone and a channel's sums run over rows in order, so that the
// bits depend neither on the number of threads nor on the vector width.

/// Per channel: sum and sum of squares of z - pivot, pivot = the first row (so that a constant
/// channel has variance exactly 0).
void channel_moments(int64_t rows, int64_t channels, const float* z, double* sum,
                     double* sum_of_squares, sim::ThreadPool* pool);

/// y = min(max(scale[c] * z + offset[c] + addend, low), high). scale, offset and addend may be null
/// (1, 0, 0). y may be z.
struct AffinePass {
  int64_t rows = 0, channels = 0;
  const float* z = nullptr;
  const float* scale = nullptr;
  const float* offset = nullptr;
  const float* addend = nullptr;  ///< [rows, channels]
  float low = 0, high = 0;
  float* y = nullptr;
};
void affine_clamp(const AffinePass& pass, sim::ThreadPool* pool);

/// The gradient that reaches a linear op through a clamp, and normalised inputs beside it:
///   g = dy where low < y < high, else 0;   x_hat = (z - center[c]) * inverse[c]
/// y is the output: float32, or codes of up to 16 bits. z is float32 or int32/int64 accumulators.
struct MaskedGradient {
  int64_t rows = 0, channels = 0;
  const float* dy = nullptr;
  const void* y = nullptr;  ///< null: nothing is masked
  DType y_type = DType::float32;
  float low = 0, high = 0;
  const void* z = nullptr;  ///< null: no x_hat
  DType z_type = DType::float32;
  const float* center = nullptr;
  const float* inverse = nullptr;
};
/// sum_g[c] = sum g; sum_gx[c] = sum g * x_hat (0 without z). One reading of dy, y and z.
void masked_sums(const MaskedGradient& gradient, double* sum_g, double* sum_gx,
                 sim::ThreadPool* pool);
/// dz = scale[c] * g + offset[c] + slope[c] * x_hat; null arrays are 1, 0, 0.
struct GradientRows {
  MaskedGradient gradient;
  const float* scale = nullptr;
  const float* offset = nullptr;
  const float* slope = nullptr;

  /// Nothing is masked and nothing scaled: dz is dy.
  bool is_dy() const { return gradient.y == nullptr && scale == nullptr; }
};
/// All rows. dz may be dy.
void masked_affine(const MaskedGradient& gradient, const float* scale, const float* offset,
                   const float* slope, float* dz, sim::ThreadPool* pool);
/// Rows [begin, begin + count) in the calling thread; dz points at the first of them.
void gradient_rows(const GradientRows& rows, int64_t begin, int64_t count, float* dz);

/// What a layer read: float32, or codes of up to 16 bits that stand for
/// float(code - zero_point) * scale.
struct Activations {
  const void* data = nullptr;
  DType type = DType::float32;
  int32_t zero_point = 0;
  float scale = 1;
};
/// out[i] = element first + i as float32, in the calling thread.
void real_elements(const Activations& x, int64_t first, int64_t count, float* out);

/// Smallest and largest of a[i] + b[i] over `count` elements; none may be NaN.
struct SumRange {
  float min, max;
};
SumRange range_of_sum(const Activations& a, const Activations& b, int64_t count,
                      sim::ThreadPool* pool);

/// out = (acc & keep[c]) + bias[c], in the calling thread; no sum may leave int32.
void add_bias(int64_t rows, int64_t channels, const int32_t* acc, const int32_t* keep,
              const int32_t* bias, int32_t* out);

}  // namespace facsim::fused::kernels
