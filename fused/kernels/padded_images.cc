// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/padded_images.h"

#include <algorithm>

#include "sim/core/tensor.h"

namespace facsim::fused::kernels {

PaddedImages::PaddedImages(const Axis& h, const Axis& w, int64_t channels_, int64_t pixel_)
    : rows(h.input),
      columns(w.input),
      top(h.before),
      left(w.before),
      padded_rows(h.padded()),
      channels(channels_),
      pixel(pixel_),
      row(w.padded() * pixel_),
      image(h.padded() * row) {}

void PaddedImages::copy(const float* from, float* to) const {
  std::fill_n(to, top * row, 0.0f);
  to += top * row;
  for (int64_t r = 0; r < rows; ++r, to += row) {
    float* end = std::fill_n(to, left * pixel, 0.0f);
    if (pixel == channels) {
      end = std::copy_n(from, columns * channels, end);
      from += columns * channels;
    } else {
      for (int64_t c = 0; c < columns; ++c, from += channels) {
        end = std::fill_n(std::copy_n(from, channels, end), pixel - channels, 0.0f);
      }
    }
    std::fill(end, to + row, 0.0f);
  }
  std::fill_n(to, (padded_rows - top - rows) * row, 0.0f);
}

float* thread_scratch(int64_t floats) {
  thread_local Tensor memory;
  if (memory.numel() < floats) memory = Tensor::uninitialized(DType::float32, Shape{floats});
  return memory.data<float>();
}

}  // namespace facsim::fused::kernels
