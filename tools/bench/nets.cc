// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/nets.h"

#include <cmath>
#include <random>

#include <fmt/format.h>

#include "backends/lower/lower.h"
#include "fused/int_graph_builder.h"

namespace facsim::bench {

namespace {

using backends::Activation;

/// Appends layers to a graph; each output's scale is guessed so that the codes spread.
class NetBuilder {
 public:
  NetBuilder(const backends::Profile& profile, sim::IntType activation, uint64_t seed)
      : profile_(profile), type_(activation), random_(seed) {}

  int input(int64_t extent, int64_t channels) {
    return builder_.add_input("input", qparams(0.02f), {1, extent, extent, channels});
  }

  int conv(int x, int64_t oc, int64_t kernel, int64_t stride, Activation activation,
           int64_t groups = 1) {
    const Shape in = shape(x);
    backends::IntNode node;
    node.op = "conv2d";
    const int64_t pad = kernel / 2;
    node.attributes.window = {{kernel, kernel}, {stride, stride}, {1, 1}, {pad, pad, pad, pad}};
    node.attributes.groups = groups;
    node.attributes.activation = activation;
    const auto [oh, ow] = node.attributes.window.output_extent(in[1], in[2]);
    const Shape weights{oc, kernel, kernel, in[3] / groups};
    return weighted(node, x, weights, groups > 1 ? "depthwise_conv2d" : "conv2d", {1, oh, ow, oc});
  }

  int linear(int x, int64_t oc) {
    backends::IntNode node;
    node.op = "linear";
    return weighted(node, x, {oc, shape(x)[1]}, "linear", {1, oc});
  }

  int add(int a, int b, Activation activation) {
    backends::IntNode node;
    node.op = "add";
    node.attributes.activation = activation;
    begin("add");
    return builder_.add_node(node, builder_.name(), {a, b}, qparams(1.4f * scale(a)), shape(a));
  }

  int max_pool(int x, int64_t kernel, int64_t stride, int64_t pad) {
    backends::IntNode node;
    node.op = "max_pool2d";
    node.attributes.window = {{kernel, kernel}, {stride, stride}, {1, 1}, {pad, pad, pad, pad}};
    const auto [oh, ow] = node.attributes.window.output_extent(shape(x)[1], shape(x)[2]);
    begin("max_pool");
    return builder_.add_node(node, builder_.name(), {x}, *builder_.tensor(x).qparams,
                             {1, oh, ow, shape(x)[3]});
  }

  int global_avg_pool_flat(int x) {
    backends::IntNode pool;
    pool.op = "global_avg_pool";
    const int64_t channels = shape(x)[3];
    begin("pool");
    const int y = builder_.add_node(pool, builder_.name(), {x}, *builder_.tensor(x).qparams,
                                    {1, 1, 1, channels});
    backends::IntNode flat;
    flat.op = "reshape";
    flat.attributes.extents = {channels};
    begin("flatten");
    return builder_.add_node(flat, builder_.name(), {y}, *builder_.tensor(y).qparams,
                             {1, channels});
  }

  backends::IntGraph finish(int output) {
    builder_.add_output(output);
    return builder_.take();
  }

  int64_t channels(int x) const { return shape(x)[3]; }

 private:
  const Shape& shape(int x) const { return builder_.tensor(x).shape; }
  float scale(int x) const { return builder_.tensor(x).qparams->scale.front(); }
  void begin(std::string_view what) { builder_.begin(fmt::format("{}_{}", what, ++count_), ""); }

  quant::QParams qparams(float scale) const {
    quant::QParams q;
    q.scale = {scale};
    q.type = type_;
    q.quant_min = type_.min();
    q.quant_max = type_.max();
    return q;
  }

  int weighted(const backends::IntNode& node, int x, const Shape& weight_shape,
               std::string_view rules_of, const Shape& output) {
    const int64_t oc = weight_shape[0];
    Tensor weights(DType::int8, weight_shape);
    for (int8_t& w : weights.values<int8_t>()) {
      w = static_cast<int8_t>(static_cast<int>(random_() % 255) - 127);
    }
    const int64_t taps = weights.numel() / oc;
    // Uniform codes have a standard deviation of 73: with these scales outputs are as large as
    // inputs.
    const double deviation = 73 * std::sqrt(static_cast<double>(taps));
    quant::QParams weight;
    weight.channel_axis = 0;
    weight.quant_min = -127;
    weight.zero_point.assign(static_cast<size_t>(oc), 0);
    weight.scale.clear();
    std::vector<double> bias;
    for (int64_t c = 0; c < oc; ++c) {
      const auto spread = static_cast<float>(0.75 + 0.005 * static_cast<double>(random_() % 100));
      weight.scale.push_back(spread / static_cast<float>(deviation));
      bias.push_back(0.01 * (static_cast<double>(random_() % 100) - 50));
    }
    const backends::OpRules& rules = profile_.rules_for(rules_of, type_);
    const backends::LayerBias stored = backends::quantize_bias(rules, bias, scale(x), weight.scale);
    begin(rules_of);
    const int w = builder_.add_constant(builder_.name("weight"), weights, weight);
    const bool real_bias = stored.codes.dtype() == DType::float32;
    const int b = builder_.add_constant(builder_.name("bias"), stored.codes,
                                        real_bias ? std::nullopt : std::optional(stored.qparams));
    return builder_.add_node(node, builder_.name(), {x, w, b}, qparams(scale(x)), output);
  }

  const backends::Profile& profile_;
  sim::IntType type_;
  std::mt19937_64 random_;
  fused::IntGraphBuilder builder_;
  int count_ = 0;
};

backends::IntGraph resnet18(NetBuilder& net, const NetGeometry& geometry) {
  const bool small = geometry.extent <= 64;
  int x = net.input(geometry.extent, 3);
  x = small ? net.conv(x, 64, 3, 1, Activation::relu) : net.conv(x, 64, 7, 2, Activation::relu);
  if (!small) x = net.max_pool(x, 3, 2, 1);
  for (const int64_t channels : {64, 128, 256, 512}) {
    for (int block = 0; block < 2; ++block) {
      const int64_t stride = block == 0 && channels > 64 ? 2 : 1;
      int y = net.conv(x, channels, 3, stride, Activation::relu);
      y = net.conv(y, channels, 3, 1, Activation::none);
      const int shortcut = stride == 1 ? x : net.conv(x, channels, 1, 2, Activation::none);
      x = net.add(y, shortcut, Activation::relu);
    }
  }
  return net.finish(net.linear(net.global_avg_pool_flat(x), geometry.classes));
}

backends::IntGraph mobilenet_v2(NetBuilder& net, const NetGeometry& geometry) {
  struct Stage {
    int64_t expansion, channels, blocks, stride;
  };
  constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                               {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  int x = net.conv(net.input(geometry.extent, 3), 32, 3, 2, Activation::relu6);
  for (const Stage& stage : kStages) {
    for (int64_t block = 0; block < stage.blocks; ++block) {
      const int64_t stride = block == 0 ? stage.stride : 1;
      const int64_t hidden = net.channels(x) * stage.expansion;
      int y = stage.expansion == 1 ? x : net.conv(x, hidden, 1, 1, Activation::relu6);
      y = net.conv(y, hidden, 3, stride, Activation::relu6, hidden);
      y = net.conv(y, stage.channels, 1, 1, Activation::none);
      const bool residual = stride == 1 && net.channels(x) == stage.channels;
      x = residual ? net.add(y, x, Activation::none) : y;
    }
  }
  x = net.conv(x, 1280, 1, 1, Activation::relu6);
  return net.finish(net.linear(net.global_avg_pool_flat(x), geometry.classes));
}

}  // namespace

std::vector<NetGeometry> bench_nets() {
  return {{"resnet18_224", "resnet18", 224, 1000},
          {"mobilenet_v2_224", "mobilenet_v2", 224, 1000},
          {"resnet18_32", "resnet18", 32, 10}};
}

backends::IntGraph make_net(const NetGeometry& net, const backends::Profile& profile,
                            sim::IntType activation, uint64_t seed) {
  NetBuilder builder(profile, activation, seed);
  return net.family == "resnet18" ? resnet18(builder, net) : mobilenet_v2(builder, net);
}

}  // namespace facsim::bench
