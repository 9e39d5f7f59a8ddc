// SPDX-License-Identifier: Apache-2.0
// Layers by oneDNN's int8 convolution, matrix product and pooling against the profile onednn.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/peers/random_layers.h"
#include "tests/peers/tally.h"

namespace facsim::test {

namespace {

using dnnl::memory;
using Dims = memory::dims;
using Tag = memory::format_tag;
using Type = memory::data_type;

Type type_of(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::int8:
      return Type::s8;
    case DType::uint8:
      return Type::u8;
    case DType::int32:
      return Type::s32;
    default:
      return Type::f32;
  }
}

class OneDnn {
 public:
  Tensor run(const Layer& layer) {
    if (layer.op == "linear") return matmul(layer);
    if (layer.op == "max_pool2d" || layer.op == "avg_pool2d") return pool(layer);
    return convolution(layer);
  }

 private:
  struct Bound {
    memory::desc user, own;
    const void* data;
  };

  memory view(const memory::desc& desc, const void* data) {
    return memory(desc, engine_, const_cast<void*>(data));
  }

  /// The user's array in the layout that the primitive asked for.
  memory reordered(const Bound& bound) {
    memory user = view(bound.user, bound.data);
    if (bound.user == bound.own) return user;
    memory own(bound.own, engine_);
    dnnl::reorder(user, own).execute(stream_, user, own);
    return own;
  }

  /// s_x * s_w / s_y per channel in float32, zero points of both activations, relu.
  static dnnl::primitive_attr attributes(const Layer& layer, int channel_mask) {
    dnnl::primitive_attr attr;
    std::vector<float> scale;
    for (const float sw : layer.weight.scale) {
      scale.push_back(layer.qparams[0].scale.front() * sw / layer.output.scale.front());
    }
    attr.set_output_scales(scale.size() > 1 ? channel_mask : 0, scale);
    const auto zx = static_cast<int32_t>(layer.qparams[0].zero_point.front());
    const auto zy = static_cast<int32_t>(layer.output.zero_point.front());
    if (zx != 0) attr.set_zero_points(DNNL_ARG_SRC, 0, {zx});
    if (zy != 0) attr.set_zero_points(DNNL_ARG_DST, 0, {zy});
    if (layer.attributes.activation == backends::Activation::relu) {
      dnnl::post_ops ops;
      ops.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
      attr.set_post_ops(ops);
    }
    return attr;
  }

  /// oneDNN's bias counts accumulator units: real / (s_x * s_w) in float32.
  static std::vector<float> bias_of(const Layer& layer) {
    std::vector<float> bias;
    for (int64_t c = 0; c < layer.channels() && !layer.bias.empty(); ++c) {
      bias.push_back(layer.bias.data<float>()[c] /
                     (layer.qparams[0].scale.front() * layer.weight_scale(c)));
    }
    return bias;
  }

  /// For some shapes of grouped convolutions with a source zero point (first seen: uint8 (2, 3, 5,
  /// 24), 27 x 4 x 2 x 8 weights in 3 groups; 5 of 899 such layers) oneDNN 2.6.3's gemm
  /// convolution gives other values than oneDNN's own ref_int8, which agrees with us. Such layers
  /// run on the implementation that comes next.
  static bool contradicts_reference(const std::string& implementation, const Layer& layer) {
    return implementation.starts_with("x64:gemm") && layer.attributes.groups > 1 &&
           layer.qparams[0].zero_point.front() != 0;
  }

  Tensor convolution(const Layer& layer) {
    const Tensor& x = layer.inputs[0];
    const Shape& s = x.shape();
    const Shape& w = layer.weights.shape();
    const sim::Window2d& window = layer.attributes.window;
    const int64_t groups = layer.attributes.groups;
    const auto [oh, ow] = window.output_extent(s[1], s[2]);
    Tensor y(layer.output.type.storage(), {s[0], oh, ow, w[0]});
    const Dims source{s[0], s[3], s[1], s[2]};
    const Dims target{s[0], w[0], oh, ow};
    const Dims weights =
        groups == 1 ? Dims{w[0], w[3], w[1], w[2]} : Dims{groups, w[0] / groups, w[3], w[1], w[2]};
    const Tag weight_tag = groups == 1 ? Tag::ohwi : Tag::gohwi;
    const memory::desc x_desc(source, type_of(x), Tag::nhwc);
    const memory::desc y_desc(target, type_of(y), Tag::nhwc);
    const memory::desc w_any(weights, Type::s8, Tag::any);
    const std::vector<float> bias = bias_of(layer);
    const Dims strides{window.stride[0], window.stride[1]};
    const Dims dilates{window.dilation[0] - 1, window.dilation[1] - 1};
    const Dims before{window.padding.top, window.padding.left};
    const Dims after{window.padding.bottom, window.padding.right};
    const auto prop = dnnl::prop_kind::forward_inference;
    const auto algorithm = dnnl::algorithm::convolution_direct;
    const memory::desc b_desc(Dims{w[0]}, Type::f32, Tag::x);
    using Forward = dnnl::convolution_forward;
    const Forward::desc desc =
        bias.empty()
            ? Forward::desc(prop, algorithm, x_desc, w_any, y_desc, strides, dilates, before, after)
            : Forward::desc(prop, algorithm, x_desc, w_any, b_desc, y_desc, strides, dilates,
                            before, after);
    Forward::primitive_desc primitive(desc, attributes(layer, 1 << 1), engine_);
    while (contradicts_reference(primitive.impl_info_str(), layer) && primitive.next_impl()) {
    }
    count(primitive.impl_info_str());
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, view(x_desc, x.raw())},
        {DNNL_ARG_WEIGHTS, reordered({memory::desc(weights, Type::s8, weight_tag),
                                      primitive.weights_desc(), layer.weights.raw()})},
        {DNNL_ARG_DST, view(y_desc, y.raw())}};
    if (!bias.empty()) arguments.insert({DNNL_ARG_BIAS, view(b_desc, bias.data())});
    Forward(primitive).execute(stream_, arguments);
    stream_.wait();
    return y;
  }

  Tensor matmul(const Layer& layer) {
    const Tensor& x = layer.inputs[0];
    const int64_t n = x.shape()[0];
    const int64_t ic = x.shape()[1];
    const int64_t oc = layer.channels();
    Tensor y(layer.output.type.storage(), {n, oc});
    const memory::desc x_desc(Dims{n, ic}, type_of(x), Tag::ab);
    const memory::desc w_desc(Dims{ic, oc}, Type::s8, Tag::ba);
    const memory::desc w_any(Dims{ic, oc}, Type::s8, Tag::any);
    const memory::desc y_desc(Dims{n, oc}, type_of(y), Tag::ab);
    const memory::desc b_desc(Dims{1, oc}, Type::f32, Tag::ab);
    const std::vector<float> bias = bias_of(layer);
    const dnnl::matmul::desc desc = bias.empty()
                                        ? dnnl::matmul::desc(x_desc, w_any, y_desc)
                                        : dnnl::matmul::desc(x_desc, w_any, b_desc, y_desc);
    const dnnl::matmul::primitive_desc primitive(desc, attributes(layer, 1 << 1), engine_);
    count(primitive.impl_info_str());
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, view(x_desc, x.raw())},
        {DNNL_ARG_WEIGHTS, reordered({w_desc, primitive.weights_desc(), layer.weights.raw()})},
        {DNNL_ARG_DST, view(y_desc, y.raw())}};
    if (!bias.empty()) arguments.insert({DNNL_ARG_BIAS, view(b_desc, bias.data())});
    dnnl::matmul(primitive).execute(stream_, arguments);
    stream_.wait();
    return y;
  }

  Tensor pool(const Layer& layer) {
    const Tensor& x = layer.inputs[0];
    const Shape& s = x.shape();
    const sim::Window2d& window = layer.attributes.window;
    const auto [oh, ow] = window.output_extent(s[1], s[2]);
    Tensor y(x.dtype(), {s[0], oh, ow, s[3]});
    const memory::desc x_desc(Dims{s[0], s[3], s[1], s[2]}, type_of(x), Tag::nhwc);
    const memory::desc y_desc(Dims{s[0], s[3], oh, ow}, type_of(x), Tag::nhwc);
    using Forward = dnnl::pooling_forward;
    dnnl::algorithm algorithm = dnnl::algorithm::pooling_max;
    if (layer.op == "avg_pool2d") {
      algorithm = layer.attributes.count_include_pad ? dnnl::algorithm::pooling_avg_include_padding
                                                     : dnnl::algorithm::pooling_avg_exclude_padding;
    }
    const Forward::desc desc(dnnl::prop_kind::forward_inference, algorithm, x_desc, y_desc,
                             Dims{window.stride[0], window.stride[1]},
                             Dims{window.kernel[0], window.kernel[1]},
                             Dims{window.padding.top, window.padding.left},
                             Dims{window.padding.bottom, window.padding.right});
    const Forward::primitive_desc primitive(desc, engine_);
    count(primitive.impl_info_str());
    Forward(primitive).execute(
        stream_, {{DNNL_ARG_SRC, view(x_desc, x.raw())}, {DNNL_ARG_DST, view(y_desc, y.raw())}});
    stream_.wait();
    return y;
  }

  void count(const std::string& implementation) {
    implementation_ = implementation;
    ++implementations_[implementation];
  }

 public:
  /// Of the last layer.
  const std::string& implementation() const { return implementation_; }
  ~OneDnn() {
    for (const auto& [name, layers] : implementations_) {
      fmt::print("  oneDNN implementation {}: {} layers\n", name, layers);
    }
  }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::string implementation_;
  std::unordered_map<std::string, int64_t> implementations_;
};

/// Without VNNI oneDNN adds pairs of u8 * s8 products in saturating 16 bits, or halves the weights:
/// the bits depend on the CPU.
bool has_vnni() {
  const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto has = [&](dnnl::cpu_isa wanted) {
    const auto bits = static_cast<unsigned>(wanted);
    return (isa & bits) == bits;
  };
  return has(dnnl::cpu_isa::avx512_core_vnni) || has(dnnl::cpu_isa::avx2_vnni);
}

class OneDnnPeer {
 public:
  OneDnnPeer() { MESSAGE("seed ", seed_); }

  template <class Make>
  void compare(const std::string& name, int64_t count, Make make) {
    Tally tally("oneDNN 2.6.3 " + name);
    OneDnn peer;
    for (int64_t i = 0; i < count; ++i) {
      Dice dice(seed_ * 1000003 + static_cast<uint64_t>(i));
      const Layer layer = make(dice);
      const sim::Isa isa = i % 2 == 0 ? sim::Isa::best : sim::Isa::scalar;
      const Tensor theirs = peer.run(layer);
      tally.add(layer, theirs, simulate(layer, profile_, isa), peer.implementation());
    }
    CHECK(tally.mismatches() == 0);
    CHECK(tally.layers() == count);
  }

 private:
  const uint64_t seed_ = from_environment("FACSIM_PEER_SEED", 20220728);
  const backends::Profile profile_ =
      backends::load_profile("onednn", backends::ProfileSearch::standard());
};

/// Activations signed or unsigned, weights signed without zero point.
LayerDomain onednn_domain(Dice& dice) {
  LayerDomain domain;
  domain.input = dice.one_in(2) ? sim::kInt8 : sim::kUint8;
  domain.output = dice.one_in(2) ? sim::kInt8 : sim::kUint8;
  domain.per_channel = dice.one_in(2);
  domain.float_bias = true;
  domain.clamps = LayerDomain::Clamps::relu;
  return domain;
}

}  // namespace

TEST_CASE("oneDNN: convolutions, depthwise convolutions, linear layers, pools") {
  if (!has_vnni()) {
    fmt::print("SKIPPED: oneDNN's u8s8 and s8s8 bits depend on the CPU; this one has no VNNI\n");
    return;
  }
  OneDnnPeer peer;
  const auto count = static_cast<int64_t>(from_environment("FACSIM_PEER_LAYERS", 6000));
  const auto make = [](bool depthwise, bool linear) {
    return [=](Dice& dice) {
      LayerDomain domain = onednn_domain(dice);
      domain.depthwise = depthwise;
      domain.linear = linear;
      return random_linear_layer(dice, domain);
    };
  };
  peer.compare("convolution", count / 2, make(false, false));
  peer.compare("depthwise convolution", count / 6, make(true, false));
  peer.compare("linear", count / 6, make(false, true));
  const auto make_pool = [](const std::string& op) {
    return [op](Dice& dice) {
      Layer layer;
      layer.op = op;
      const Shape shape{dice.between(1, 2), dice.between(2, 8), dice.between(2, 8),
                        dice.between(1, 40)};
      const sim::IntType type = dice.one_in(2) ? sim::kInt8 : sim::kUint8;
      layer.inputs.push_back(random_codes(dice, type, shape));
      layer.qparams.push_back(random_activation(dice, type, dice.magnitude(-4, 1)));
      if (op == "avg_pool2d") {
        // Padding is the code 0: it stands for the real 0 where the zero point is 0.
        layer.qparams.front().zero_point = {0};
        layer.attributes.count_include_pad = dice.one_in(2);
      }
      layer.output = layer.qparams.front();
      layer.attributes.window = random_window(dice, shape, 4, /*dilation=*/false);
      return layer;
    };
  };
  peer.compare("max pool", count / 6, make_pool("max_pool2d"));
  peer.compare("average pool", count / 6, make_pool("avg_pool2d"));
}

}  // namespace facsim::test
