// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "fused/kernels/taps.h"

namespace facsim::fused::kernels {

/// How images are laid out in a thread's scratch memory: rows and columns padded with zeros so that
/// every tap is readable, channels rounded up (the added ones 0).
struct PaddedImages {
  PaddedImages(const Axis& h, const Axis& w, int64_t channels, int64_t pixel);

  int64_t rows, columns;  ///< of the image itself
  int64_t top, left;      ///< zeros before it
  int64_t padded_rows;
  int64_t channels;           ///< of the image itself
  int64_t pixel, row, image;  ///< floats from one pixel, row, image to the next

  /// Floats for `images` images, and readable space behind them for `spare` more pixels.
  int64_t size(int64_t images, int64_t spare) const { return images * image + spare * pixel; }
  /// Copies one NHWC image.
  void copy(const float* from, float* to) const;
};

/// At least `floats` floats of the calling thread, 64-byte aligned, kept for its next call: asking
/// the system for fresh pages in every task costs more than the work done in them.
float* thread_scratch(int64_t floats);

}  // namespace facsim::fused::kernels
