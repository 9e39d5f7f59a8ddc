// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/kernels/taps.h"
#include "sim/core/parallel.h"

namespace facsim::fused::kernels {

/// A convolution in the general sense that covers both the forward pass and the input gradient:
/// out[n, h, w, g, c] = sum over row taps, column taps, items k of
///   in[n, h', w', g, k] * weights[g * group_step + tap * tap_step + c * channel_step + k *
///   item_step]
/// where tap = kernel row * kernel_columns + kernel column. Out and in are dense NHWC with
/// groups * channels and groups * items channels; `out` is overwritten.
struct DirectPass {
  Axis h, w;
  int64_t n = 1, groups = 1;
  int64_t items = 1;     ///< input channels per group
  int64_t channels = 1;  ///< output channels per group
  int64_t kernel_columns = 1;
  int64_t group_step = 0, tap_step = 0, channel_step = 0, item_step = 0;
};

/// Parallel over groups of images; bits do not depend on how they are shared out.
void run(const DirectPass& pass, const float* in, const float* weights, float* out,
         sim::ThreadPool* pool);

/// The contiguous runs of one phase: where the columns' offsets follow each other and there is one
/// group, the taps of a kernel row are one run.
struct Runs {
  std::vector<int64_t> segments;  ///< offset in floats from the first output's (padded) base
  int64_t run = 0;                ///< floats of each
  int64_t taps_per_run = 1;
};
Runs contiguous_runs(const Phase& rows, const Phase& columns, int64_t top, int64_t left,
                     int64_t row_step, int64_t pixel_step, int64_t items, bool merge);

}  // namespace facsim::fused::kernels
