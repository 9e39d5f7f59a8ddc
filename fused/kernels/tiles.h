// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace facsim::fused::kernels {

/// The smallest multiple of step that is >= value.
constexpr int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

/// The inner loops of the convolution passes, compiled for every SIMD target and dispatched at run
/// time. All tensors are float32 and every output is one chain of fused multiply-adds in the order
/// stated, so its bits depend neither on the vector width nor on how outputs are shared out.
/// Targets without an FMA instruction emulate it exactly.

/// Up to four output pixels that are neighbours in a row.
struct PixelGroup {
  const float* x;  ///< input of the first pixel; all four must be readable
  float* y;        ///< output of the first pixel
  int valid;       ///< pixels to write, 1..4
};

/// Name of the chosen target, from inside its code: the tests' proof of what ran.
const char* target_name();
/// Output channels of one weight block on the chosen target (two vectors).
int64_t block_width();
/// Floats of one vector on the chosen target.
int64_t vector_width();

/// y[pixel][c] = sum over segments s, items k of x[pixel * pixel_step + segments[s] + k] *
/// weights[c / block][s][k][c % block], in that order from 0.
struct ConvTiles {
  std::span<const PixelGroup> groups;
  int64_t pixel_step;                 ///< floats between the inputs of neighbouring pixels
  int64_t output_step;                ///< floats between their outputs
  std::span<const int64_t> segments;  ///< offset of each contiguous run from the pixel's base
  int64_t run;                        ///< floats of each run
  const float* weights;               ///< 64-byte aligned, zero-filled up to whole blocks
  int64_t channels;                   ///< outputs per pixel
};
void convolve(const ConvTiles& tiles);

/// Weight gradient: sums[k][c] += sum over images, rows, columns of x[... + k] * dy[... + c], in
/// that order, continuing from what `sums` holds. k in [0, items), c in [0, channels).
struct GradientTiles {
  const float* x;
  int64_t x_image, x_row, x_column;  ///< floats between images, output rows, output columns
  const float* dy;                   ///< whole vectors of channels must be readable
  int64_t dy_image, dy_row, dy_column;
  int64_t images, rows, columns;
  int64_t items;
  int64_t channels;
  float* sums;        ///< [items][sums_step]
  int64_t sums_step;  ///< channels rounded up to whole blocks
};
void accumulate_gradient(const GradientTiles& tiles);

/// to[i * to_step + k] = from[i * from_step + k], i in [0, count), k in [0, width).
struct RowCopy {
  const float* from;
  int64_t from_step, count, width;
  float* to;
  int64_t to_step;
};
void copy_rows(const RowCopy& copy);

/// Depthwise: y[pixel][c] = sum over taps t of x[pixel * pixel_step + taps[t] + c] *
/// weights[t][c], in that order from 0.
struct DepthwiseTiles {
  std::span<const PixelGroup> groups;
  int64_t pixel_step;
  int64_t output_step;
  std::span<const int64_t> taps;
  const float* weights;  ///< [taps][weights_step], 64-byte aligned
  int64_t weights_step;  ///< channels rounded up to whole vectors; x must be readable that far
  int64_t channels;
};
void convolve_depthwise(const DepthwiseTiles& tiles);

/// Depthwise weight gradient: sums[t][c] += sum over images, rows, columns of x[... + taps[t] + c]
/// * dy[... + c], in that order, continuing from what `sums` holds.
struct DepthwiseGradientTiles {
  const float* x;
  int64_t x_image, x_row, x_column;
  const float* dy;  ///< readable up to whole vectors of channels, as x
  int64_t dy_image, dy_row, dy_column;
  int64_t images, rows, columns;
  std::span<const int64_t> taps;
  float* sums;        ///< [taps][sums_step]
  int64_t sums_step;  ///< channels rounded up to whole vectors
};
void accumulate_depthwise_gradient(const DepthwiseGradientTiles& tiles);

}  // namespace facsim::fused::kernels
