// SPDX-License-Identifier: Apache-2.0
// Layers by XNNPACK's qs8, qc8 and qu8 operators against the profile xnnpack-x86.
#include <doctest/doctest.h>
#include <xnnpack.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>

#include "sim/core/error.h"
#include "tests/peers/layer.h"

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

using Operator = std::unique_ptr<xnn_operator, decltype(&xnn_delete_operator)>;

/// Calls create(arguments…, &operator); null if XNNPACK refuses the parameters.
template <class Create, class... Arguments>
Operator make_operator(Create create, Arguments... arguments) {
  xnn_operator_t op = nullptr;
  const xnn_status status = create(arguments..., &op);
  REQUIRE((status == xnn_status_success || status == xnn_status_unsupported_parameter ||
           status == xnn_status_invalid_parameter));
  return {status == xnn_status_success ? op : nullptr, xnn_delete_operator};
}

void run(const Operator& op, xnn_status set_up) {
  REQUIRE(set_up == xnn_status_success);
  REQUIRE(xnn_run_operator(op.get(), nullptr) == xnn_status_success);
}

template <class T>
T zero_point(const quant::QParams& qparams) {
  return static_cast<T>(qparams.zero_point.front());
}

template <class T>
struct Bounds {
  T min, max;
  explicit Bounds(const Layer& layer)
      : min(static_cast<T>(clamp_codes(layer)[0])), max(static_cast<T>(clamp_codes(layer)[1])) {}
};

uint32_t u32(int64_t value) { return static_cast<uint32_t>(value); }
size_t sz(int64_t value) { return static_cast<size_t>(value); }

const int32_t* bias_of(const Layer& layer) {
  return layer.bias.empty() ? nullptr : layer.bias.data<int32_t>();
}

Shape window_output(const Layer& layer, int64_t channels) {
  const Shape& s = layer.inputs[0].shape();
  const auto [oh, ow] = layer.attributes.window.output_extent(s[1], s[2]);
  return {s[0], oh, ow, channels};
}

/// qs8 and qu8 have one weight scale, qc8 one per channel.
std::optional<Tensor> convolution(const Layer& layer, bool per_channel) {
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
  if (per_channel) {
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

std::array<int64_t, 2> deconvolution_extent(const Layer& layer) {
  const sim::Window2d& w = layer.attributes.window;
  const Shape& s = layer.inputs[0].shape();
  const auto extent = [&](size_t i, int64_t padding) {
    return (s[static_cast<int>(i) + 1] - 1) * w.stride[i] + (w.kernel[i] - 1) * w.dilation[i] + 1 +
           layer.attributes.output_padding[i] - padding;
  };
  return {extent(0, w.padding.top + w.padding.bottom), extent(1, w.padding.left + w.padding.right)};
}

std::optional<Tensor> deconvolution(const Layer& layer) {
  const Tensor& x = layer.inputs[0];
  const Shape& s = x.shape();
  const sim::Window2d& w = layer.attributes.window;
  const int64_t groups = layer.attributes.groups;
  const int64_t oc = layer.channels();
  const auto [oh, ow] = deconvolution_extent(layer);
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

std::optional<Tensor> linear(const Layer& layer) {
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

std::optional<Tensor> average_pool(const Layer& layer) {
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

// ---- random layers ----------------------------------------------------------------------------

/// Ratios of scales beyond XNNPACK's limits occur too: both sides must refuse them.
Layer random_binary(Dice& dice, const std::string& op, sim::IntType type) {
  Layer layer;
  layer.op = op;
  const Shape shape{1, dice.between(1, 5), dice.between(1, 5), dice.between(1, 33)};
  const float sy = dice.magnitude(-6, 3);
  const bool powers = dice.one_in(3);
  for (int i = 0; i < 2; ++i) {
    const Shape own = i == 1 && dice.one_in(4) ? Shape{1, 1, 1, shape[3]} : shape;
    float scale = op == "mul" ? dice.magnitude(-9, 1) : sy * dice.magnitude(-10.2f, 8.2f);
    if (dice.one_in(2)) scale = op == "mul" ? dice.magnitude(-5, -1) : sy * dice.magnitude(-2, 1);
    if (powers) scale = std::ldexp(1.0f, std::ilogb(scale));
    layer.inputs.push_back(random_codes(dice, type, own));
    layer.qparams.push_back(random_activation(dice, type, scale));
  }
  layer.output = random_activation(dice, type, powers ? std::ldexp(1.0f, std::ilogb(sy)) : sy);
  random_clamp(dice, layer);
  return layer;
}

Layer random_pool(Dice& dice, const std::string& op, sim::IntType type) {
  Layer layer;
  layer.op = op;
  const Shape shape{dice.between(1, 2), dice.between(2, 9), dice.between(2, 9),
                    dice.between(1, 40)};
  layer.inputs.push_back(random_codes(dice, type, shape));
  const float sx = dice.magnitude(-5, 2);
  layer.qparams.push_back(random_activation(dice, type, sx));
  layer.output = random_activation(dice, type, dice.one_in(3) ? sx : sx * dice.magnitude(-3, 3));
  if (op == "max_pool2d") layer.output = layer.qparams.front();
  if (op == "avg_pool2d") layer.attributes.count_include_pad = true;
  // XNNPACK's max pool reads the nearest pixel for a tap outside the image (indirection.c
  // xnn_indirection_init_maxpool2d): with a dilation that pixel may lie outside the window. So
  // dilated windows are unpadded here.
  const bool dilated = op == "max_pool2d" && dice.one_in(3);
  if (op != "global_avg_pool") {
    sim::Window2d& window = layer.attributes.window;
    do {
      window = random_window(dice, shape, 4, dilated);
    } while (window.kernel == std::array<int64_t, 2>{1, 1} ||
             (dilated && window.padding != sim::Padding2d{}));
  }
  random_clamp(dice, layer);
  return layer;
}

Layer random_unary(Dice& dice, const std::string& op, sim::IntType type) {
  Layer layer;
  layer.op = op;
  const Shape shape{dice.between(1, 3), dice.between(1, 256)};
  const float sx = dice.magnitude(-7, 1);
  layer.output = random_activation(dice, type, sx * dice.magnitude(-2, 2));
  if (op == "quantize") {
    Tensor x(DType::float32, shape);
    const float sy = layer.output.scale.front();
    for (float& value : x.values<float>()) {
      value = sy * (static_cast<float>(dice.between(-300, 300)) +
                    dice.pick({0.5f, 0.0f, dice.magnitude(-3, 0), -0.5f}));
      if (dice.one_in(50)) value = dice.pick({3e38f, -3e38f, 0.0f, -0.0f, 1e-30f});
    }
    layer.inputs.push_back(x);
    layer.qparams.emplace_back();
    return layer;
  }
  layer.inputs.push_back(random_codes(dice, type, shape));
  layer.qparams.push_back(random_activation(dice, type, sx));
  if (op == "sigmoid") {
    layer.output.scale = {0x1p-8f};
    layer.output.zero_point = {type.min()};
  }
  if (op == "tanh") {
    layer.output.scale = {0x1p-7f};
    layer.output.zero_point = {type.is_signed ? 0 : 128};
  }
  if (op == "leaky_relu") layer.attributes.alpha = dice.magnitude(-9, 0);
  return layer;
}

class XnnpackPeer {
 public:
  XnnpackPeer() {
    REQUIRE(xnn_initialize(nullptr) == xnn_status_success);
    MESSAGE("seed ", seed_);
  }

  /// Compares `count` layers of make(dice, signed?) computed by peer(layer).
  template <class Make, class Peer>
  void compare(const std::string& name, int64_t count, Make make, Peer peer) {
    Tally tally("XNNPACK ae108ef " + name);
    for (int64_t i = 0; i < count; ++i) {
      Dice dice(seed_ * 1000003 + static_cast<uint64_t>(i));
      const Layer layer = make(dice);
      const std::optional<Tensor> theirs = peer(layer);
      std::optional<Tensor> ours;
      std::string reason;
      try {
        ours = simulate(layer, profile_, i % 2 == 0 ? sim::Isa::best : sim::Isa::scalar);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::unsupported) throw;
        reason = error.what();
      }
      if (theirs && ours) {
        tally.add(layer, *theirs, *ours);
      } else {
        tally.add_refusal(layer, !theirs, reason);
      }
    }
    CHECK(tally.mismatches() == 0);
    CHECK(tally.disagreements() == 0);
    CHECK(tally.layers() > count / 2);
  }

 private:
  const uint64_t seed_ = from_environment("FACSIM_PEER_SEED", 20220216);
  // The profile's own leaky_relu is that of later versions (xnnpack.lrelu_q8).
  const backends::Profile profile_ =
      backends::load_profile("xnnpack-x86", backends::ProfileSearch::standard(),
                             {{"/ops/leaky_relu", R"({"algorithm": "xnnpack.lookup_table"})"}});
};

sim::IntType either_type(Dice& dice) { return dice.one_in(2) ? sim::kInt8 : sim::kUint8; }

LayerDomain xnnpack_domain(Dice& dice) {
  LayerDomain domain;
  domain.input = domain.weight = domain.output = either_type(dice);
  domain.weight_zero_point = !domain.input.is_signed;
  domain.smallest_multiplier = -32;
  domain.largest_multiplier = 8;
  return domain;
}

/// XNNPACK takes requantization scales 2^-32 <= s_x * s_w / s_y < 256 (it asserts the lower bound),
/// of a product of activations 2^-16 <= s_a * s_b / s_y < 256, and clamps of at least two codes.
bool accepts(const Layer& layer) {
  const auto [low, high] = clamp_codes(layer);
  for (const float sw : layer.weight.scale) {
    const float scale = layer.qparams[0].scale.front() * sw / layer.output.scale.front();
    if (!layer.weights.empty() && !(scale >= 0x1p-32f && scale < 256.0f)) return false;
  }
  if (layer.op == "mul") {
    const float product = layer.qparams[0].scale.front() * layer.qparams[1].scale.front();
    const float scale = product / layer.output.scale.front();
    if (!(scale >= 0x1p-16f && scale < 256.0f)) return false;
  }
  return low < high;
}

/// make(dice) until XNNPACK accepts the parameters.
template <class Make>
auto accepted(Make make) {
  return [make](Dice& dice) {
    while (true) {
      Layer layer = make(dice);
      if (accepts(layer)) return layer;
    }
  };
}

/// Calls function<int8_t> or function<uint8_t> by the layer's output.
#define FACSIM_BY_TYPE(function)                                                             \
  [](const Layer& layer) {                                                                   \
    return layer.output.type.is_signed ? function<int8_t>(layer) : function<uint8_t>(layer); \
  }

}  // namespace

TEST_CASE("XNNPACK: convolutions, depthwise convolutions and linear layers") {
  XnnpackPeer peer;
  const auto count = static_cast<int64_t>(from_environment("FACSIM_PEER_LAYERS", 6000));
  const auto make_convolution = [](bool depthwise) {
    return accepted([depthwise](Dice& dice) {
      LayerDomain domain = xnnpack_domain(dice);
      domain.depthwise = depthwise;
      domain.per_channel = domain.input.is_signed && dice.one_in(2);
      return random_linear_layer(dice, domain);
    });
  };
  const auto run_convolution = [](const Layer& layer) {
    return convolution(layer, layer.weight.per_channel());
  };
  peer.compare("convolution", count / 2, make_convolution(false), run_convolution);
  peer.compare("depthwise convolution", count / 4, make_convolution(true), run_convolution);
  peer.compare("transposed convolution (none strided with kernel >= stride)", count / 4,
               accepted([](Dice& dice) {
                 while (true) {
                   Layer layer = random_linear_layer(dice, xnnpack_domain(dice));
                   layer.op = "transpose_conv2d";
                   // XNNPACK ae108ef crashes in its sub-convolutions (strided, not dilated,
                   // kernel >= stride) on some layers: all of that path are left out.
                   const auto [kernel, stride, dilation, padding] = layer.attributes.window;
                   const bool strided = stride[0] > 1 || stride[1] > 1;
                   const bool dilated = dilation[0] > 1 || dilation[1] > 1;
                   if (strided && !dilated && kernel[0] >= stride[0] && kernel[1] >= stride[1])
                     continue;
                   layer.attributes.output_padding = {dice.between(0, stride[0] - 1),
                                                      dice.between(0, stride[1] - 1)};
                   const auto [oh, ow] = deconvolution_extent(layer);
                   if (oh >= 1 && ow >= 1) return layer;
                 }
               }),
               deconvolution);
  peer.compare("linear", count / 4, accepted([](Dice& dice) {
                 LayerDomain domain = xnnpack_domain(dice);
                 domain.linear = true;
                 return random_linear_layer(dice, domain);
               }),
               linear);
}

TEST_CASE("XNNPACK: add, sub, mul") {
  XnnpackPeer peer;
  const auto count = static_cast<int64_t>(from_environment("FACSIM_PEER_LAYERS", 6000)) / 6;
  for (const std::string op : {"add", "sub", "mul"}) {
    peer.compare(op, count,
                 accepted([&](Dice& dice) { return random_binary(dice, op, either_type(dice)); }),
                 FACSIM_BY_TYPE(binary));
  }
}

TEST_CASE("XNNPACK: pools") {
  XnnpackPeer peer;
  const auto count = static_cast<int64_t>(from_environment("FACSIM_PEER_LAYERS", 6000)) / 6;
  const auto make = [](const std::string& op) {
    return accepted([op](Dice& dice) { return random_pool(dice, op, either_type(dice)); });
  };
  peer.compare("global average pool", count, make("global_avg_pool"), FACSIM_BY_TYPE(global_pool));
  peer.compare("max pool", count, make("max_pool2d"), FACSIM_BY_TYPE(max_pool));
  peer.compare("average pool", count,
               accepted([](Dice& dice) { return random_pool(dice, "avg_pool2d", sim::kUint8); }),
               average_pool);
}

TEST_CASE("XNNPACK: quantize, dequantize and functions of one code") {
  XnnpackPeer peer;
  const auto count = static_cast<int64_t>(from_environment("FACSIM_PEER_LAYERS", 6000)) / 12;
  for (const std::string op : {"quantize", "dequantize", "sigmoid", "tanh", "leaky_relu"}) {
    peer.compare(op, count, accepted([&](Dice& dice) {
                   return random_unary(dice, op,
                                       op == "leaky_relu" ? sim::kUint8 : either_type(dice));
                 }),
                 FACSIM_BY_TYPE(unary));
  }
}

}  // namespace facsim::test
