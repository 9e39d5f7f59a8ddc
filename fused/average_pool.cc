// SPDX-License-Identifier: Apache-2.0
#include "fused/average_pool.h"

#include <algorithm>

#include "fused/integer_forward.h"
#include "sim/core/error.h"

namespace facsim::fused {

namespace {

/// Calls body(output pixel, input pixel) for each tap inside the image: PyTorch's
/// count_include_pad, padded taps count in the divisor and add nothing.
template <class Body>
void for_each_pair(const sim::Window2d& w, const Shape& x, const Shape& y, Body body) {
  for (int64_t oh = 0; oh < y[1]; ++oh) {
    for (int64_t ow = 0; ow < y[2]; ++ow) {
      for (int64_t kh = 0; kh < w.kernel[0]; ++kh) {
        const int64_t h = oh * w.stride[0] - w.padding.top + kh;
        if (h < 0 || h >= x[1]) continue;
        for (int64_t kw = 0; kw < w.kernel[1]; ++kw) {
          const int64_t v = ow * w.stride[1] - w.padding.left + kw;
          if (v >= 0 && v < x[2]) body(oh * y[2] + ow, h * x[2] + v);
        }
      }
    }
  }
}

}  // namespace

Value AveragePool::forward(std::span<const Value> inputs, const Context& context) {
  FACSIM_CHECK_EQ(inputs.size(), size_t{1});
  x_shape_ = inputs[0].shape();
  if (x_shape_.rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, type_name() + " input", to_string(x_shape_),
                 "(N, H, W, C)", ""});
  }
  if (inputs[0].quantized()) {
    FACSIM_CHECK(context.profile != nullptr);
    return integer_forward(*this, inputs, *context.profile, context);
  }
  const sim::Window2d window = window_for(x_shape_);
  const auto extent = window.output_extent(x_shape_[1], x_shape_[2]);
  const Tensor& x = inputs[0].real();
  Tensor y(DType::float32, {x_shape_[0], extent[0], extent[1], x_shape_[3]});
  const int64_t channels = x_shape_[3], in = x.numel() / x_shape_[0], out = y.numel() / x_shape_[0];
  const auto count = static_cast<float>(window.kernel[0] * window.kernel[1]);
  sim::parallel_for(context.pool, x_shape_[0], [&](int64_t n) {
    const float* image = x.data<float>() + n * in;
    float* result = y.data<float>() + n * out;
    for_each_pair(window, x_shape_, y.shape(), [&](int64_t to, int64_t from) {
      for (int64_t c = 0; c < channels; ++c) {
        result[to * channels + c] += image[from * channels + c];
      }
    });
    for (int64_t i = 0; i < out; ++i) result[i] /= count;
  });
  return Value(y);
}

std::vector<Tensor> AveragePool::backward(const Tensor& dy, const Context& context,
                                          bool needs_input_gradient) {
  if (!needs_input_gradient) return {Tensor()};
  const sim::Window2d window = window_for(x_shape_);
  Tensor dx(DType::float32, x_shape_);
  const int64_t channels = x_shape_[3], in = dx.numel() / x_shape_[0],
                out = dy.numel() / x_shape_[0];
  const auto count = static_cast<float>(window.kernel[0] * window.kernel[1]);
  sim::parallel_for(context.pool, x_shape_[0], [&](int64_t n) {
    const float* g = dy.data<float>() + n * out;
    float* image = dx.data<float>() + n * in;
    for_each_pair(window, x_shape_, dy.shape(), [&](int64_t from, int64_t to) {
      for (int64_t c = 0; c < channels; ++c) {
        image[to * channels + c] += g[from * channels + c] / count;
      }
    });
  });
  return {dx};
}

}  // namespace facsim::fused
