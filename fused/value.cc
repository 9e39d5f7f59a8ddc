// SPDX-License-Identifier: Apache-2.0
#include "fused/value.h"

#include <cstring>

namespace facsim::fused {

namespace {

/// to[j][i] = from[i][j], from [rows, columns].
template <class T>
void transpose(const T* from, T* to, int64_t rows, int64_t columns) {
  for (int64_t j = 0; j < columns; ++j, to += rows) {
    for (int64_t i = 0; i < rows; ++i) to[i] = from[i * columns + j];
  }
}

/// Moves axis 1 of [N, C, H, W] to the end (`to_nhwc`) or the last axis of [N, H, W, C] to axis 1.
template <class T>
void permute(const void* source, void* target, int64_t n, int64_t c, int64_t pixels, bool to_nhwc,
             sim::ThreadPool* pool) {
  const int64_t size = c * pixels;
  sim::parallel_for(pool, n, [=](int64_t image) {
    transpose(static_cast<const T*>(source) + image * size, static_cast<T*>(target) + image * size,
              to_nhwc ? c : pixels, to_nhwc ? pixels : c);
  });
}

Tensor permuted(const Tensor& x, bool to_nhwc, sim::ThreadPool* pool) {
  const Shape& s = x.shape();
  if (s.rank() != 4) return x;
  const int64_t n = s[0];
  const int64_t c = to_nhwc ? s[1] : s[3];
  const int64_t h = to_nhwc ? s[2] : s[1];
  const int64_t w = to_nhwc ? s[3] : s[2];
  Tensor y = Tensor::uninitialized(x.dtype(), to_nhwc ? Shape{n, h, w, c} : Shape{n, c, h, w});
  switch (size_of(x.dtype())) {
    case 1:
      permute<uint8_t>(x.raw(), y.raw(), n, c, h * w, to_nhwc, pool);
      break;
    case 2:
      permute<uint16_t>(x.raw(), y.raw(), n, c, h * w, to_nhwc, pool);
      break;
    case 4:
      permute<uint32_t>(x.raw(), y.raw(), n, c, h * w, to_nhwc, pool);
      break;
    default:
      permute<uint64_t>(x.raw(), y.raw(), n, c, h * w, to_nhwc, pool);
  }
  return y;
}

}  // namespace

Tensor nhwc_from_nchw(const Tensor& nchw, sim::ThreadPool* pool) {
  return permuted(nchw, true, pool);
}
Tensor nchw_from_nhwc(const Tensor& nhwc, sim::ThreadPool* pool) {
  return permuted(nhwc, false, pool);
}

Value Value::from_nchw(const Tensor& nchw) { return Value(nhwc_from_nchw(nchw)); }
Tensor Value::to_nchw() const { return nchw_from_nhwc(real()); }

const Tensor& Value::real() const {
  if (real_.empty() && quantized()) real_ = quant::dequantize(codes_, *qparams_);
  return real_;
}

}  // namespace facsim::fused
