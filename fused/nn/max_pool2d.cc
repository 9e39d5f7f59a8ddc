// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/max_pool2d.h"

#include <algorithm>

#include "fused/integer_forward.h"
#include "sim/core/error.h"

namespace facsim::fused::nn {

namespace {

/// Calls body(tap, input pixel) for each tap of output (oh, ow) that lies in the image.
template <class Body>
void for_each_tap(const sim::Window2d& w, int64_t ih, int64_t iw, int64_t oh, int64_t ow,
                  Body body) {
  for (int64_t kh = 0; kh < w.kernel[0]; ++kh) {
    const int64_t h = oh * w.stride[0] - w.padding.top + kh * w.dilation[0];
    if (h < 0 || h >= ih) continue;
    for (int64_t kw = 0; kw < w.kernel[1]; ++kw) {
      const int64_t v = ow * w.stride[1] - w.padding.left + kw * w.dilation[1];
      if (v >= 0 && v < iw) body(kh * w.kernel[1] + kw, h * iw + v);
    }
  }
}

template <class T>
void pool_image(const sim::Window2d& window, const Shape& x, const Shape& y, const T* in, T* out,
                uint16_t* taps) {
  const int64_t channels = x[3];
  for (int64_t oh = 0; oh < y[1]; ++oh) {
    for (int64_t ow = 0; ow < y[2]; ++ow, out += channels, taps += channels) {
      bool first = true;
      for_each_tap(window, x[1], x[2], oh, ow, [&](int64_t tap, int64_t pixel) {
        const T* v = in + pixel * channels;
        const auto number = static_cast<uint16_t>(tap);
        if (first) {
          std::copy_n(v, channels, out);
          std::fill_n(taps, channels, number);
          first = false;
          return;
        }
        for (int64_t c = 0; c < channels; ++c) {
          const bool larger = v[c] > out[c];
          taps[c] = larger ? number : taps[c];
          out[c] = larger ? v[c] : out[c];
        }
      });
    }
  }
}

template <class T>
Tensor pool(const sim::Window2d& window, const Tensor& x, const Shape& shape, Tensor& taps,
            sim::ThreadPool* threads) {
  Tensor y = Tensor::uninitialized(x.dtype(), shape);
  const int64_t in = x.numel() / shape[0], out = y.numel() / shape[0];
  sim::parallel_for(threads, shape[0], [&](int64_t n) {
    pool_image(window, x.shape(), shape, x.data<T>() + n * in, y.data<T>() + n * out,
               taps.data<uint16_t>() + n * out);
  });
  return y;
}

}  // namespace

MaxPool2d::MaxPool2d(const sim::Window2d& window) : window_(window) {
  if (window.kernel[0] * window.kernel[1] > 65535) {
    throw Error({ErrorCode::unsupported, "MaxPool2d kernel_size",
                 std::to_string(window.kernel[0]) + "x" + std::to_string(window.kernel[1]),
                 "at most 65535 taps", ""});
  }
}

Value MaxPool2d::forward(std::span<const Value> inputs, const Context& context) {
  FACSIM_CHECK_EQ(inputs.size(), size_t{1});
  const Value& x = inputs[0];
  if (x.quantized() && !context.training) {
    FACSIM_CHECK(context.profile != nullptr);
    return integer_forward(*this, inputs, *context.profile, context);
  }
  x_shape_ = x.shape();
  if (x_shape_.rank() != 4) {
    throw Error(
        {ErrorCode::shape_mismatch, "MaxPool2d input", to_string(x_shape_), "(N, H, W, C)", ""});
  }
  const auto extent = window_.output_extent(x_shape_[1], x_shape_[2]);
  const Shape shape{x_shape_[0], extent[0], extent[1], x_shape_[3]};
  taps_ = Tensor::uninitialized(DType::uint16, shape);
  if (!x.quantized()) return Value(pool<float>(window_, x.real(), shape, taps_, context.pool));
  const Tensor& codes = x.codes();
  switch (codes.dtype()) {
    case DType::int8:
      return {pool<int8_t>(window_, codes, shape, taps_, context.pool), x.qparams()};
    case DType::uint8:
      return {pool<uint8_t>(window_, codes, shape, taps_, context.pool), x.qparams()};
    case DType::int16:
      return {pool<int16_t>(window_, codes, shape, taps_, context.pool), x.qparams()};
    default:
      throw Error({ErrorCode::unsupported, "MaxPool2d",
                   std::string(to_string(codes.dtype())) + " codes", "int8, uint8 or int16", ""});
  }
}

std::vector<Tensor> MaxPool2d::backward(const Tensor& dy, const Context& context,
                                        bool needs_input_gradient) {
  if (!needs_input_gradient) return {Tensor()};
  Tensor dx(DType::float32, x_shape_);
  const Shape& y = dy.shape();
  const int64_t channels = y[3], in = dx.numel() / y[0], out = dy.numel() / y[0];
  sim::parallel_for(context.pool, y[0], [&](int64_t n) {
    const float* g = dy.data<float>() + n * out;
    const uint16_t* taps = taps_.data<uint16_t>() + n * out;
    float* image = dx.data<float>() + n * in;
    for (int64_t oh = 0; oh < y[1]; ++oh) {
      for (int64_t ow = 0; ow < y[2]; ++ow, g += channels, taps += channels) {
        for_each_tap(window_, x_shape_[1], x_shape_[2], oh, ow, [&](int64_t tap, int64_t pixel) {
          float* to = image + pixel * channels;
          for (int64_t c = 0; c < channels; ++c) to[c] += taps[c] == tap ? g[c] : 0.0f;
        });
      }
    }
  });
  return {dx};
}

int MaxPool2d::emit(IntGraphBuilder& builder, std::span<const int> inputs) const {
  const backends::IntTensor& x = builder.tensor(inputs[0]);
  backends::IntNode node;
  node.op = "max_pool2d";
  node.attributes.window = window_;
  const auto extent = window_.output_extent(x.shape[1], x.shape[2]);
  return builder.add_node(std::move(node), builder.name(), {inputs[0]}, *x.qparams,
                          {1, extent[0], extent[1], x.shape[3]});
}

}  // namespace facsim::fused::nn
