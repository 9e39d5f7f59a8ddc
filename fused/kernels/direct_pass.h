// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "fused/kernels/padded_images.h"
#include "fused/kernels/taps.h"
#include "fused/kernels/tiles.h"
#include "sim/core/parallel.h"
#include "sim/core/tensor.h"

namespace facsim::fused::kernels {

enum class Arithmetic { float32, bf16 };

/// A convolution in the general sense that covers both the forward pass and the input gradient:
/// out[n, h, w, g, c] = sum over row taps, column taps, items k of
///   in[n, h', w', g, k] * weights[g * group_step + tap * tap_step + c * channel_step + k *
///   item_step]
/// where tap = kernel row * kernel_columns + kernel column. Out and in are dense NHWC with
/// groups * channels and groups * items channels; `out` is overwritten.
/// With bf16 (bf16.h) `in` and `weights` hold words of two items, and words are what is counted.
struct DirectPass {
  Axis h, w;
  int64_t n = 1, groups = 1;
  int64_t items = 1;     ///< input channels per group
  int64_t channels = 1;  ///< output channels per group
  int64_t kernel_columns = 1;
  int64_t group_step = 0, tap_step = 0, channel_step = 0, item_step = 0;
  Arithmetic arithmetic = Arithmetic::float32;
};

/// The contiguous runs of one phase: where the columns' offsets follow each other and there is one
/// group, the taps of a kernel row are one run.
struct Runs {
  std::vector<int64_t> segments;  ///< offset in floats from the first output's (padded) base
  int64_t run = 0;                ///< floats of each
  int64_t taps_per_run = 1;
};
Runs contiguous_runs(const Phase& rows, const Phase& columns, int64_t top, int64_t left,
                     int64_t row_step, int64_t pixel_step, int64_t items, bool merge);

/// A pass with its weights packed, for images that lie padded in scratch memory.
class PackedPass {
 public:
  PackedPass(DirectPass pass, const float* weights, sim::ThreadPool* pool);
  PackedPass(PackedPass&&) = delete;

  const PaddedImages& images() const { return images_; }  ///< the layout of what it reads
  /// Floats to reserve for `count` images; what lies behind the last one may be read.
  int64_t scratch_size(int64_t count) const;
  /// Convolves `count` images of the layout in the calling thread, out: the first one's result.
  void run(const float* padded, int64_t count, float* out) const;

 private:
  /// One (row phase, column phase) with its weights as the tiles want them.
  struct Prepared {
    const Phase* rows;
    const Phase* columns;
    Runs runs;
    Tensor weights;
    int64_t group_weights = 0;  ///< floats of one group's weights
  };
  void pack_dense(const float* weights, Prepared& phase, sim::ThreadPool* pool) const;
  void pack_depthwise(const float* weights, Prepared& phase) const;
  void list_groups(const Prepared& phase, const float* padded, float* out, int64_t count,
                   std::vector<PixelGroup>& groups) const;

  DirectPass pass_;
  bool depthwise_;
  PaddedImages images_;
  std::vector<Prepared> phases_;
};

/// Parallel over groups of images; bits do not depend on how they are shared out.
void run(const DirectPass& pass, const float* in, const float* weights, float* out,
         sim::ThreadPool* pool);

}  // namespace facsim::fused::kernels
