// SPDX-License-Identifier: Apache-2.0
// XNNPACK's operators without weights: of two operands, pools, and of one code.
#include <array>
#include <type_traits>

#include "tests/peers/xnnpack_call.h"
#include "tests/peers/xnnpack_operators.h"

namespace facsim::test {

namespace {

/// The C functions of one code type.
template <class T>
struct Xnn;
template <>
struct Xnn<int8_t> {
  static constexpr auto create_add = xnn_create_add_nd_qs8;
  static constexpr auto create_sub = xnn_create_subtract_nd_qs8;
  static constexpr auto create_mul = xnn_create_multiply_nd_qs8;
  static constexpr auto setup_add = xnn_setup_add_nd_qs8;
  static constexpr auto setup_sub = xnn_setup_subtract_nd_qs8;
  static constexpr auto setup_mul = xnn_setup_multiply_nd_qs8;
  static constexpr auto create_global_pool = xnn_create_global_average_pooling_nwc_qs8;
  static constexpr auto setup_global_pool = xnn_setup_global_average_pooling_nwc_qs8;
  static constexpr auto create_max_pool = xnn_create_max_pooling2d_nhwc_s8;
  static constexpr auto setup_max_pool = xnn_setup_max_pooling2d_nhwc_s8;
  static constexpr auto create_sigmoid = xnn_create_sigmoid_nc_qs8;
  static constexpr auto setup_sigmoid = xnn_setup_sigmoid_nc_qs8;
  static constexpr auto create_tanh = xnn_create_tanh_nc_qs8;
  static constexpr auto setup_tanh = xnn_setup_tanh_nc_qs8;
  static constexpr auto create_quantize = xnn_create_convert_nc_f32_qs8;
  static constexpr auto setup_quantize = xnn_setup_convert_nc_f32_qs8;
  static constexpr auto create_dequantize = xnn_create_convert_nc_qs8_f32;
  static constexpr auto setup_dequantize = xnn_setup_convert_nc_qs8_f32;
};
template <>
struct Xnn<uint8_t> {
  static constexpr auto create_add = xnn_create_add_nd_qu8;
  static constexpr auto create_sub = xnn_create_subtract_nd_qu8;
  static constexpr auto create_mul = xnn_create_multiply_nd_qu8;
  static constexpr auto setup_add = xnn_setup_add_nd_qu8;
  static constexpr auto setup_sub = xnn_setup_subtract_nd_qu8;
  static constexpr auto setup_mul = xnn_setup_multiply_nd_qu8;
  static constexpr auto create_global_pool = xnn_create_global_average_pooling_nwc_qu8;
  static constexpr auto setup_global_pool = xnn_setup_global_average_pooling_nwc_qu8;
  static constexpr auto create_max_pool = xnn_create_max_pooling2d_nhwc_u8;
  static constexpr auto setup_max_pool = xnn_setup_max_pooling2d_nhwc_u8;
  static constexpr auto create_sigmoid = xnn_create_sigmoid_nc_qu8;
  static constexpr auto setup_sigmoid = xnn_setup_sigmoid_nc_qu8;
  static constexpr auto create_tanh = xnn_create_tanh_nc_qu8;
  static constexpr auto setup_tanh = xnn_setup_tanh_nc_qu8;
  static constexpr auto create_quantize = xnn_create_convert_nc_f32_qu8;
  static constexpr auto setup_quantize = xnn_setup_convert_nc_f32_qu8;
  static constexpr auto create_dequantize = xnn_create_convert_nc_qu8_f32;
  static constexpr auto setup_dequantize = xnn_setup_convert_nc_qu8_f32;
};

std::vector<size_t> dims(const Shape& shape) {
  return {shape.extents().begin(), shape.extents().end()};
}

template <class T>
std::optional<Tensor> binary(const Layer& layer) {
  const Tensor& a = layer.inputs[0];
  const Tensor& b = layer.inputs[1];
  const Bounds<T> bounds(layer);
  const auto create = [&](auto function) {
    return make_operator(function, zero_point<T>(layer.qparams[0]), layer.qparams[0].scale.front(),
                         zero_point<T>(layer.qparams[1]), layer.qparams[1].scale.front(),
                         zero_point<T>(layer.output), layer.output.scale.front(), bounds.min,
                         bounds.max, 0u);
  };
  Tensor y(a.dtype(), a.shape());
  const auto finish = [&](const Operator& op, auto setup) -> std::optional<Tensor> {
    if (op == nullptr) return {};
    const std::vector<size_t> da = dims(a.shape()), db = dims(b.shape());
    run(op, setup(op.get(), da.size(), da.data(), db.size(), db.data(), a.data<T>(), b.data<T>(),
                  y.data<T>(), nullptr));
    return y;
  };
  if (layer.op == "add") return finish(create(Xnn<T>::create_add), Xnn<T>::setup_add);
  if (layer.op == "sub") return finish(create(Xnn<T>::create_sub), Xnn<T>::setup_sub);
  return finish(create(Xnn<T>::create_mul), Xnn<T>::setup_mul);
}

template <class T>
std::optional<Tensor> global_pool(const Layer& layer) {
  const Tensor& x = layer.inputs[0];
  const Shape& s = x.shape();
  const Bounds<T> bounds(layer);
  const Operator op = make_operator(Xnn<T>::create_global_pool, sz(s[3]), sz(s[3]), sz(s[3]),
                                    zero_point<T>(layer.qparams[0]), layer.qparams[0].scale.front(),
                                    zero_point<T>(layer.output), layer.output.scale.front(),
                                    bounds.min, bounds.max, 0u);
  if (op == nullptr) return {};
  Tensor y(x.dtype(), {s[0], 1, 1, s[3]});
  run(op, Xnn<T>::setup_global_pool(op.get(), sz(s[0]), sz(s[1] * s[2]), x.data<T>(), y.data<T>(),
                                    nullptr));
  return y;
}

template <class T>
std::optional<Tensor> max_pool(const Layer& layer) {
  const Tensor& x = layer.inputs[0];
  const Shape& s = x.shape();
  const sim::Window2d& w = layer.attributes.window;
  const Bounds<T> bounds(layer);
  const Operator op =
      make_operator(Xnn<T>::create_max_pool, u32(w.padding.top), u32(w.padding.right),
                    u32(w.padding.bottom), u32(w.padding.left), u32(w.kernel[0]), u32(w.kernel[1]),
                    u32(w.stride[0]), u32(w.stride[1]), u32(w.dilation[0]), u32(w.dilation[1]),
                    sz(s[3]), sz(s[3]), sz(s[3]), bounds.min, bounds.max, 0u);
  if (op == nullptr) return {};
  Tensor y(x.dtype(), window_output(layer, s[3]));
  run(op, Xnn<T>::setup_max_pool(op.get(), sz(s[0]), sz(s[1]), sz(s[2]), x.data<T>(), y.data<T>(),
                                 nullptr));
  return y;
}

template <class T>
std::optional<Tensor> unary(const Layer& layer) {
  const Tensor& x = layer.inputs[0];
  const auto [n, c] = std::array<int64_t, 2>{x.shape()[0], x.shape()[1]};
  const Bounds<T> bounds(layer);
  const float sy = layer.output.scale.front();
  if (layer.op == "quantize") {
    const Operator op = make_operator(Xnn<T>::create_quantize, sz(c), sz(c), sz(c), sy,
                                      zero_point<T>(layer.output), bounds.min, bounds.max, 0u);
    if (op == nullptr) return {};
    Tensor y(layer.output.type.storage(), x.shape());
    run(op, Xnn<T>::setup_quantize(op.get(), sz(n), x.data<float>(), y.data<T>(), nullptr));
    return y;
  }
  const T zx = zero_point<T>(layer.qparams[0]);
  const float sx = layer.qparams[0].scale.front();
  if (layer.op == "dequantize") {
    const Operator op = make_operator(Xnn<T>::create_dequantize, sz(c), sz(c), sz(c), sx, zx, 0u);
    if (op == nullptr) return {};
    Tensor y(DType::float32, x.shape());
    run(op, Xnn<T>::setup_dequantize(op.get(), sz(n), x.data<T>(), y.data<float>(), nullptr));
    return y;
  }
  Tensor y(x.dtype(), x.shape());
  const auto finish = [&](const Operator& op, auto setup) -> std::optional<Tensor> {
    if (op == nullptr) return {};
    run(op, setup(op.get(), sz(n), x.data<T>(), y.data<T>(), nullptr));
    return y;
  };
  const auto create = [&](auto function) {
    return make_operator(function, sz(c), sz(c), sz(c), zx, sx, zero_point<T>(layer.output), sy,
                         bounds.min, bounds.max, 0u);
  };
  if (layer.op == "sigmoid") return finish(create(Xnn<T>::create_sigmoid), Xnn<T>::setup_sigmoid);
  if (layer.op == "tanh") return finish(create(Xnn<T>::create_tanh), Xnn<T>::setup_tanh);
  if constexpr (std::is_same_v<T, uint8_t>) {
    REQUIRE(layer.op == "leaky_relu");
    return finish(
        make_operator(xnn_create_leaky_relu_nc_qu8, sz(c), sz(c), sz(c), layer.attributes.alpha, zx,
                      sx, zero_point<T>(layer.output), sy, bounds.min, bounds.max, 0u),
        xnn_setup_leaky_relu_nc_qu8);
  }
  FAIL("no XNNPACK operator for " << layer.op);
  return {};
}

}  // namespace

std::optional<Tensor> xnnpack_binary(const Layer& layer) {
  return layer.output.type.is_signed ? binary<int8_t>(layer) : binary<uint8_t>(layer);
}

std::optional<Tensor> xnnpack_global_pool(const Layer& layer) {
  return layer.output.type.is_signed ? global_pool<int8_t>(layer) : global_pool<uint8_t>(layer);
}

std::optional<Tensor> xnnpack_max_pool(const Layer& layer) {
  return layer.output.type.is_signed ? max_pool<int8_t>(layer) : max_pool<uint8_t>(layer);
}

std::optional<Tensor> xnnpack_unary(const Layer& layer) {
  return layer.output.type.is_signed ? unary<int8_t>(layer) : unary<uint8_t>(layer);
}

std::optional<Tensor> xnnpack_average_pool(const Layer& layer) {
  const Tensor& x = layer.inputs[0];
  const Shape& s = x.shape();
  const sim::Window2d& w = layer.attributes.window;
  const Bounds<uint8_t> bounds(layer);
  const Operator op = make_operator(
      xnn_create_average_pooling2d_nhwc_qu8, u32(w.padding.top), u32(w.padding.right),
      u32(w.padding.bottom), u32(w.padding.left), u32(w.kernel[0]), u32(w.kernel[1]),
      u32(w.stride[0]), u32(w.stride[1]), sz(s[3]), sz(s[3]), sz(s[3]),
      zero_point<uint8_t>(layer.qparams[0]), layer.qparams[0].scale.front(),
      zero_point<uint8_t>(layer.output), layer.output.scale.front(), bounds.min, bounds.max, 0u);
  if (op == nullptr) return {};
  Tensor y(x.dtype(), window_output(layer, s[3]));
  run(op, xnn_setup_average_pooling2d_nhwc_qu8(op.get(), sz(s[0]), sz(s[1]), sz(s[2]),
                                               x.data<uint8_t>(), y.data<uint8_t>(), nullptr));
  return y;
}

}  // namespace facsim::test
