// SPDX-License-Identifier: Apache-2.0
#include "fused/elementwise.h"

#include <algorithm>

namespace facsim::fused {

namespace {

/// out[i] = f(i), in chunks of elements.
template <class F>
Tensor elementwise(const Shape& shape, sim::ThreadPool* pool, F f) {
  constexpr int64_t kChunk = 16384;
  Tensor out = Tensor::uninitialized(DType::float32, shape);
  float* y = out.data<float>();
  const int64_t count = out.numel();
  sim::parallel_for(pool, (count + kChunk - 1) / kChunk, [&](int64_t chunk) {
    const int64_t end = std::min((chunk + 1) * kChunk, count);
    for (int64_t i = chunk * kChunk; i < end; ++i) y[i] = f(i);
  });
  return out;
}

}  // namespace

Tensor apply(const std::function<double(double)>& f, const Tensor& x, sim::ThreadPool* pool) {
  const float* v = x.data<float>();
  return elementwise(x.shape(), pool, [&](int64_t i) { return static_cast<float>(f(v[i])); });
}

Tensor multiply_by(const std::function<double(double)>& gradient, const Tensor& x, const Tensor& dy,
                   sim::ThreadPool* pool) {
  FACSIM_CHECK_EQ(x.numel(), dy.numel());
  const float* v = x.data<float>();
  const float* g = dy.data<float>();
  return elementwise(x.shape(), pool,
                     [&](int64_t i) { return g[i] * static_cast<float>(gradient(v[i])); });
}

Tensor sum(const Tensor& a, const Tensor& b, sim::ThreadPool* pool) {
  FACSIM_CHECK(a.shape() == b.shape());
  const float* v = a.data<float>();
  const float* w = b.data<float>();
  return elementwise(a.shape(), pool, [&](int64_t i) { return v[i] + w[i]; });
}

}  // namespace facsim::fused
