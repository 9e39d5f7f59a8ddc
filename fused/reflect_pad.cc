// SPDX-License-Identifier: Apache-2.0
#include "fused/reflect_pad.h"

#include <algorithm>

#include "sim/core/error.h"

namespace facsim::fused {

namespace {

int64_t mirrored(int64_t i, int64_t extent) {
  if (i < 0) return -i;
  return i < extent ? i : 2 * (extent - 1) - i;
}

/// Calls body(source pixel, padded pixel) for each padded pixel, image by image.
template <class Body>
void for_each_pixel(const Shape& x, std::array<int64_t, 2> padding, Body body) {
  const int64_t h = x[1], w = x[2];
  const int64_t padded_h = h + 2 * padding[0], padded_w = w + 2 * padding[1];
  for (int64_t n = 0; n < x[0]; ++n) {
    for (int64_t i = 0; i < padded_h; ++i) {
      for (int64_t j = 0; j < padded_w; ++j) {
        const int64_t source =
            (n * h + mirrored(i - padding[0], h)) * w + mirrored(j - padding[1], w);
        body(source, (n * padded_h + i) * padded_w + j);
      }
    }
  }
}

void check_padding(const Shape& x, std::array<int64_t, 2> padding) {
  if (x.rank() != 4 || padding[0] >= x[1] || padding[1] >= x[2]) {
    throw Error({ErrorCode::shape_mismatch, "reflect padding",
                 std::to_string(padding[0]) + ", " + std::to_string(padding[1]) + " of an image " +
                     to_string(x),
                 "less than the image's height and width", ""});
  }
}

}  // namespace

Tensor reflect_pad(const Tensor& x, std::array<int64_t, 2> padding) {
  check_padding(x.shape(), padding);
  const Shape& s = x.shape();
  Tensor y = Tensor::uninitialized(DType::float32,
                                   {s[0], s[1] + 2 * padding[0], s[2] + 2 * padding[1], s[3]});
  for_each_pixel(s, padding, [&](int64_t source, int64_t padded) {
    std::copy_n(x.data<float>() + source * s[3], s[3], y.data<float>() + padded * s[3]);
  });
  return y;
}

Tensor reflect_pad_gradient(const Tensor& dpadded, const Shape& x, std::array<int64_t, 2> padding) {
  check_padding(x, padding);
  Tensor dx(DType::float32, x);
  for_each_pixel(x, padding, [&](int64_t source, int64_t padded) {
    for (int64_t c = 0; c < x[3]; ++c) {
      dx.data<float>()[source * x[3] + c] += dpadded.data<float>()[padded * x[3] + c];
    }
  });
  return dx;
}

}  // namespace facsim::fused
