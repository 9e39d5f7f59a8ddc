// SPDX-License-Identifier: Apache-2.0
#include "fused/concat_channels.h"

#include <algorithm>

#include "sim/core/error.h"

namespace facsim::fused {

namespace {

int64_t last_extent(const Shape& shape) { return shape[shape.rank() - 1]; }

Shape with_channels(Shape shape, int64_t channels) {
  shape[shape.rank() - 1] = channels;
  return shape;
}

}  // namespace

Tensor concat_channels(std::span<const Tensor> parts, sim::ThreadPool* pool) {
  FACSIM_CHECK(!parts.empty());
  int64_t channels = 0;
  for (const Tensor& part : parts) {
    const Shape& shape = part.shape();
    if (shape.rank() < 2 || with_channels(shape, 0) != with_channels(parts[0].shape(), 0)) {
      throw Error({ErrorCode::shape_mismatch, "Concat", to_string(shape),
                   to_string(parts[0].shape()) + " but for its channels", ""});
    }
    channels += last_extent(shape);
  }
  Tensor out = Tensor::uninitialized(DType::float32, with_channels(parts[0].shape(), channels));
  const int64_t rows = channels == 0 ? 0 : out.numel() / channels;
  int64_t first = 0;
  for (const Tensor& part : parts) {
    const int64_t own = last_extent(part.shape());
    const float* from = part.data<float>();
    float* to = out.data<float>() + first;
    sim::parallel_for(
        pool, rows, [=](int64_t row) { std::copy_n(from + row * own, own, to + row * channels); });
    first += own;
  }
  return out;
}

std::vector<Tensor> split_channels(const Tensor& whole, std::span<const int64_t> channels,
                                   sim::ThreadPool* pool) {
  const int64_t all = last_extent(whole.shape());
  const int64_t rows = all == 0 ? 0 : whole.numel() / all;
  std::vector<Tensor> out;
  int64_t first = 0;
  for (const int64_t own : channels) {
    Tensor part = Tensor::uninitialized(DType::float32, with_channels(whole.shape(), own));
    const float* from = whole.data<float>() + first;
    float* to = part.data<float>();
    sim::parallel_for(pool, rows,
                      [=](int64_t row) { std::copy_n(from + row * all, own, to + row * own); });
    out.push_back(std::move(part));
    first += own;
  }
  FACSIM_CHECK_EQ(first, all);
  return out;
}

}  // namespace facsim::fused
