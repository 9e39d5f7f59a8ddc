// SPDX-License-Identifier: Apache-2.0
// XNNPACK's convolutions, transposed convolutions and fully connected layers.
#include "tests/peers/xnnpack_call.h"
#include "tests/peers/xnnpack_operators.h"

namespace facsim::test {

namespace {

const int32_t* bias_of(const Layer& layer) {
  return layer.bias.empty() ? nullptr : layer.bias.data<int32_t>();
}

}  // namespace

std::optional<Tensor> xnnpack_convolution(const Layer& layer) {
  const Tensor& x = layer.inputs[0];
  const sim::Window2d& w = layer.attributes.window;
  const int64_t groups = layer.attributes.groups;
  const int64_t ic = x.shape()[3];
  const int64_t oc = layer.channels();
  const float sx = layer.qparams[0].scale.front();
  const float sy = layer.output.scale.front();
  Tensor y(x.dtype(), window_output(layer, oc));
  const auto create = [&](auto function, auto zx, auto... kernel_and_bias) {
    using T = decltype(zx);
    const Bounds<T> bounds(layer);
    return make_operator(function, u32(w.padding.top), u32(w.padding.right), u32(w.padding.bottom),
                         u32(w.padding.left), u32(w.kernel[0]), u32(w.kernel[1]), u32(w.stride[0]),
                         u32(w.stride[1]), u32(w.dilation[0]), u32(w.dilation[1]), u32(groups),
                         sz(ic / groups), sz(oc / groups), sz(ic), sz(oc), zx, sx,
                         kernel_and_bias..., zero_point<T>(layer.output), sy, bounds.min,
                         bounds.max, 0u);
  };
  const Shape& s = x.shape();
  const auto finish = [&](const Operator& op, auto setup, auto code) -> std::optional<Tensor> {
    using T = decltype(code);
    if (op == nullptr) return {};
    run(op, setup(op.get(), sz(s[0]), sz(s[1]), sz(s[2]), x.data<T>(), y.data<T>(), nullptr));
    return y;
  };
  if (x.dtype() == DType::uint8) {
    const Operator op =
        create(xnn_create_convolution2d_nhwc_qu8, zero_point<uint8_t>(layer.qparams[0]),
               zero_point<uint8_t>(layer.weight), layer.weight_scale(0),
               layer.weights.data<uint8_t>(), bias_of(layer));
    return finish(op, xnn_setup_convolution2d_nhwc_qu8, uint8_t{});
  }
  if (layer.weight.per_channel()) {
    std::vector<float> scale(sz(oc));
    for (int64_t c = 0; c < oc; ++c) scale[sz(c)] = layer.weight_scale(c);
    const Operator op = create(
        xnn_create_convolution2d_nhwc_qc8, zero_point<int8_t>(layer.qparams[0]),
        static_cast<const float*>(scale.data()), layer.weights.data<int8_t>(), bias_of(layer));
    return finish(op, xnn_setup_convolution2d_nhwc_qc8, int8_t{});
  }
  const Operator op =
      create(xnn_create_convolution2d_nhwc_qs8, zero_point<int8_t>(layer.qparams[0]),
             layer.weight_scale(0), layer.weights.data<int8_t>(), bias_of(layer));
  return finish(op, xnn_setup_convolution2d_nhwc_qs8, int8_t{});
}

std::array<int64_t, 2> xnnpack_deconvolution_extent(const Layer& layer) {
  const sim::Window2d& w = layer.attributes.window;
  const Shape& s = layer.inputs[0].shape();
  const auto extent = [&](size_t i, int64_t padding) {
    return (s[static_cast<int>(i) + 1] - 1) * w.stride[i] + (w.kernel[i] - 1) * w.dilation[i] + 1 +
           layer.attributes.output_padding[i] - padding;
  };
  return {extent(0, w.padding.top + w.padding.bottom), extent(1, w.padding.left + w.padding.right)};
}

std::optional<Tensor> xnnpack_deconvolution(const Layer& layer) {
  const Tensor& x = layer.inputs[0];
  const Shape& s = x.shape();
  const sim::Window2d& w = layer.attributes.window;
  const int64_t groups = layer.attributes.groups;
  const int64_t oc = layer.channels();
  const auto [oh, ow] = xnnpack_deconvolution_extent(layer);
  Tensor y(x.dtype(), {s[0], oh, ow, oc});
  const auto compute = [&](auto create, auto setup, auto zx, auto... kernel) {
    using T = decltype(zx);
    const Bounds<T> bounds(layer);
    const Operator op = make_operator(
        create, u32(w.padding.top), u32(w.padding.right), u32(w.padding.bottom),
        u32(w.padding.left), u32(w.kernel[0]), u32(w.kernel[1]), u32(w.stride[0]), u32(w.stride[1]),
        u32(w.dilation[0]), u32(w.dilation[1]), u32(groups), sz(s[3] / groups), sz(oc / groups),
        sz(s[3]), sz(oc), zx, layer.qparams[0].scale.front(), kernel..., bias_of(layer),
        zero_point<T>(layer.output), layer.output.scale.front(), bounds.min, bounds.max, 0u);
    if (op == nullptr) return false;
    run(op, setup(op.get(), sz(s[0]), sz(s[1]), sz(s[2]), u32(layer.attributes.output_padding[0]),
                  u32(layer.attributes.output_padding[1]), x.data<T>(), y.data<T>(), nullptr));
    return true;
  };
  const bool done =
      x.dtype() == DType::uint8
          ? compute(xnn_create_deconvolution2d_nhwc_qu8, xnn_setup_deconvolution2d_nhwc_qu8,
                    zero_point<uint8_t>(layer.qparams[0]), zero_point<uint8_t>(layer.weight),
                    layer.weight_scale(0), layer.weights.data<uint8_t>())
          : compute(xnn_create_deconvolution2d_nhwc_qs8, xnn_setup_deconvolution2d_nhwc_qs8,
                    zero_point<int8_t>(layer.qparams[0]), layer.weight_scale(0),
                    layer.weights.data<int8_t>());
  if (!done) return {};
  return y;
}

std::optional<Tensor> xnnpack_linear(const Layer& layer) {
  const Tensor& x = layer.inputs[0];
  const int64_t n = x.shape()[0];
  const int64_t ic = x.shape()[1];
  const int64_t oc = layer.channels();
  const float sx = layer.qparams[0].scale.front();
  const float sy = layer.output.scale.front();
  Tensor y(x.dtype(), {n, oc});
  if (x.dtype() == DType::uint8) {
    const Bounds<uint8_t> bounds(layer);
    const Operator op =
        make_operator(xnn_create_fully_connected_nc_qu8, sz(ic), sz(oc), sz(ic), sz(oc),
                      zero_point<uint8_t>(layer.qparams[0]), sx, zero_point<uint8_t>(layer.weight),
                      layer.weight_scale(0), layer.weights.data<uint8_t>(), bias_of(layer),
                      zero_point<uint8_t>(layer.output), sy, bounds.min, bounds.max, 0u);
    if (op == nullptr) return {};
    run(op, xnn_setup_fully_connected_nc_qu8(op.get(), sz(n), x.data<uint8_t>(), y.data<uint8_t>(),
                                             nullptr));
    return y;
  }
  const Bounds<int8_t> bounds(layer);
  const Operator op = make_operator(
      xnn_create_fully_connected_nc_qs8, sz(ic), sz(oc), sz(ic), sz(oc),
      zero_point<int8_t>(layer.qparams[0]), sx, layer.weight_scale(0), layer.weights.data<int8_t>(),
      bias_of(layer), zero_point<int8_t>(layer.output), sy, bounds.min, bounds.max, 0u);
  if (op == nullptr) return {};
  run(op, xnn_setup_fully_connected_nc_qs8(op.get(), sz(n), x.data<int8_t>(), y.data<int8_t>(),
                                           nullptr));
  return y;
}

}  // namespace facsim::test
