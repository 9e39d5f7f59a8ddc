// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/core/tensor.h"
#include "sim/kernels/conv2d_tile-internal.h"
#include "sim/kernels/conv2d_weights-internal.h"
#include "sim/kernels/scratch-internal.h"
#include "sim/ops/conv2d_shape.h"

namespace facsim::sim {

/// A rectangle of output pixels of one image: whole rows, or part of one row, so that its pixels
/// lie together in the output.
struct Strip {
  int64_t n = 0;
  int64_t oh_begin = 0, oh_end = 0;
  int64_t ow_begin = 0, ow_end = 0;
  int64_t pixels() const { return (oh_end - oh_begin) * (ow_end - ow_begin); }
};

/// Pixels side by side that the kernel likes: rows are cut into multiples where they are cut.
constexpr int64_t preferred_pixels(Conv2dKernelKind kind) {
  return reads_bytes(kind) ? kQuadsPixels : 4;
}

/// How the output of every image is cut into strips whose input, or whose accumulators where a
/// kernel leaves those of a whole strip, fits the first cache level. Strips of an image differ by
/// at most one row, or by one group of columns that the kernel likes.
class StripPlan {
 public:
  /// At least `min_strips` over all images where there are so many rows or columns, and about a
  /// multiple of `threads` where that makes equal shares.
  StripPlan(const Conv2dShape& shape, Conv2dKernelKind kind, int64_t min_strips, int64_t threads);
  int64_t count() const { return n_ * row_parts_ * column_parts_; }
  Strip strip(int64_t index) const;
  int64_t max_rows() const;
  int64_t max_columns() const;

 private:
  int64_t first_column(int64_t part) const;

  int64_t n_, oh_, ow_;
  int64_t column_unit_, column_units_;  ///< columns are cut between units of so many
  int64_t row_parts_, column_parts_;
};

/// The same convolution with less geometry: a 1x1 kernel of stride 1 without padding sees the whole
/// batch as one row of pixels (a linear layer is such a batch).
Conv2dShape flattened(const Conv2dShape& shape);

/// The input pixels under a strip, row after row with the padding in place, in the element type of
/// the kernel, so that every tap of every window has an address. Rows and columns that no tap reads
/// are left out when the kernel is one pixel high or wide.
class PaddedInput {
 public:
  /// Keeps references to shape and params.
  PaddedInput(const Conv2dShape& shape, const Conv2dParams& params, Conv2dKernelKind kind,
              const StripPlan& plan, size_t dispatch_index);

  /// Copies the strip into `memory` and lists its pixels in groups of up to four; acc stays null.
  /// Where the input already is what the kernel reads, groups point into it.
  void load(const Tensor& input, const Strip& strip, Scratch& memory,
            std::vector<PixelGroup>& groups) const;

  /// Bytes between the windows of neighbouring output pixels.
  int64_t pixel_stride() const { return horizontal_.output_step * pixel_bytes_; }
  /// Bytes from the start of a window to each run.
  std::vector<int64_t> run_offsets(const Conv2dWeights& weights) const;
  int64_t element_bytes() const { return element_bytes_; }
  /// What the kernel reads for a tap outside the image.
  int32_t padding_element() const;
  /// Bytes between neighbouring taps of a row.
  int64_t tap_stride() const { return horizontal_.tap_step * pixel_bytes_; }
  /// Of the largest strip. Behind its last row: the windows of up to three pixels that a group
  /// lacks, and what whole vectors read past the end.
  int64_t memory_bytes() const {
    const int128 bytes = static_cast<int128>(max_rows_) * row_bytes_ + 3 * pixel_stride() + 128;
    return static_cast<int64_t>(std::min<int128>(bytes, INT64_MAX));
  }

 private:
  /// Pixels of the strip along one axis, in units of strip pixels unless said otherwise.
  struct Axis {
    Axis(int64_t kernel, int64_t stride, int64_t dilation);
    int64_t input_step;   ///< input pixels between neighbours
    int64_t output_step;  ///< between the windows of neighbouring outputs
    int64_t tap_step;     ///< between neighbouring taps
    int64_t kernel;
    int64_t extent(int64_t outputs) const {
      return (outputs - 1) * output_step + (kernel - 1) * tap_step + 1;
    }
  };

  template <class Code, class Element>
  void copy(const Code* from, int64_t pixels, int64_t from_step, int32_t zero, Element* to) const;
  template <class Code, class Element>
  void load_pixels(const Tensor& input, const Strip& strip, Element* out) const;
  bool reads_input_itself() const;
  void list_groups(const Strip& strip, const uint8_t* bytes, std::vector<PixelGroup>& groups) const;

  const Conv2dShape& shape_;
  const Conv2dParams& params_;
  Conv2dKernelKind kind_;
  size_t dispatch_index_;
  Axis vertical_, horizontal_;
  int64_t repeat_;          ///< strip channels for each input channel: the depthwise multiplier
  int64_t pixel_elements_;  ///< from one strip pixel to the next
  int64_t element_bytes_;
  int64_t pixel_bytes_;
  int64_t row_bytes_;
  int64_t max_rows_;
};

}  // namespace facsim::sim
