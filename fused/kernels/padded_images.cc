// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/padded_images.h"

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
  lay_out(to, [&](int64_t first, int64_t count, float* out) {
    std::copy_n(from + first * channels, count * channels, out);
  });
}

float* thread_scratch(int64_t floats) {
  thread_local Tensor memory;
  if (memory.numel() < floats) memory = Tensor::uninitialized(DType::float32, Shape{floats});
  return memory.data<float>();
}

}  // namespace facsim::fused::kernels
