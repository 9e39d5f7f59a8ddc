// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
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
  /// Lays out an image that `make(pixel, count, to)` writes: `count` dense pixels from number
  /// `pixel` on.
  template <class Make>
  void lay_out(float* to, Make make) const;
};

template <class Make>
void PaddedImages::lay_out(float* to, Make make) const {
  if (row == columns * channels) {  // nothing beside the pixels of a row
    std::fill_n(to, top * row, 0.0f);
    make(0, rows * columns, to + top * row);
    std::fill_n(to + (top + rows) * row, (padded_rows - top - rows) * row, 0.0f);
    return;
  }
  float* const end = to + image;
  to = std::fill_n(to, top * row, 0.0f);
  for (int64_t r = 0; r < rows; ++r) {
    float* const next = to + row;
    to = std::fill_n(to, left * pixel, 0.0f);
    if (pixel == channels) {
      make(r * columns, columns, to);
      to += columns * pixel;
    } else {
      for (int64_t c = 0; c < columns; ++c, to += pixel) {
        make(r * columns + c, 1, to);
        std::fill(to + channels, to + pixel, 0.0f);
      }
    }
    to = std::fill_n(to, next - to, 0.0f);
  }
  std::fill(to, end, 0.0f);
}

/// At least `floats` floats of the calling thread, 64-byte aligned, kept for its next call: asking
/// the system for fresh pages in every task costs more than the work done in them.
float* thread_scratch(int64_t floats);

}  // namespace facsim::fused::kernels
