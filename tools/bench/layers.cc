// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/layers.h"

#include <cmath>
#include <random>

#include "backends/lower/lower.h"
#include "fused/int_graph_builder.h"

namespace facsim::bench {

namespace {

Tensor random_codes(const Shape& shape, DType dtype, std::mt19937_64& random) {
  Tensor codes = Tensor::uninitialized(dtype, shape);
  auto* bytes = static_cast<uint8_t*>(codes.raw());
  for (int64_t i = 0; i < codes.numel(); ++i) bytes[i] = static_cast<uint8_t>(random() >> 56);
  return codes;
}

quant::QParams activation_qparams(sim::IntType type, float scale, int64_t zero_point) {
  quant::QParams qparams;
  qparams.scale = {scale};
  qparams.zero_point = {type.is_signed ? zero_point : 0};
  qparams.type = type;
  qparams.quant_min = type.min();
  qparams.quant_max = type.max();
  return qparams;
}

}  // namespace

int64_t LayerGeometry::output_extent() const {
  return (extent + 2 * (kernel / 2) - kernel) / stride + 1;
}

int64_t LayerGeometry::macs() const {
  return batch * output_extent() * output_extent() * oc * kernel * kernel * (ic / groups);
}

std::vector<LayerGeometry> bench_layers() {
  return {
      {"3x3_64_56", "3x3", 1, 56, 64, 64, 3, 1, 1},
      {"3x3_128_28", "3x3", 1, 28, 128, 128, 3, 1, 1},
      {"3x3_256_14", "3x3", 1, 14, 256, 256, 3, 1, 1},
      {"3x3_512_7", "3x3", 1, 7, 512, 512, 3, 1, 1},
      {"1x1_256to64_56", "1x1", 1, 56, 256, 64, 1, 1, 1},
      {"1x1_64to256_56", "1x1", 1, 56, 64, 256, 1, 1, 1},
      {"stem7x7_3to64_224", "stem", 1, 224, 3, 64, 7, 2, 1},
      {"depthwise3x3_96_112", "depthwise", 1, 112, 96, 96, 3, 1, 96},
      {"depthwise3x3_144_56_stride2", "depthwise", 1, 56, 144, 144, 3, 2, 144},
      {"depthwise3x3_960_7", "depthwise", 1, 7, 960, 960, 3, 1, 960},
      {"linear_2048to1000", "linear", 1, 1, 2048, 1000, 1, 1, 1},
      {"linear_512to512_batch64", "linear", 64, 1, 512, 512, 1, 1, 1},
  };
}

Shape LayerCase::output_shape() const {
  const LayerGeometry& g = geometry;
  if (linear()) return {g.batch, g.oc};
  return {g.batch, g.output_extent(), g.output_extent(), g.oc};
}

LayerCase make_layer_case(const LayerGeometry& g, sim::IntType activation, uint64_t seed) {
  std::mt19937_64 random(seed);
  LayerCase layer;
  layer.geometry = g;
  const Shape pixels{g.batch, g.extent, g.extent, g.ic};
  layer.input =
      random_codes(layer.linear() ? Shape{g.batch, g.ic} : pixels, activation.storage(), random);
  const Shape taps{g.oc, g.kernel, g.kernel, g.ic / g.groups};
  layer.weights = random_codes(layer.linear() ? Shape{g.oc, g.ic} : taps, DType::int8, random);
  layer.input_qparams = activation_qparams(activation, 0.02f, -5);
  quant::QParams& weight = layer.weight_qparams;
  weight.channel_axis = 0;
  weight.zero_point.assign(static_cast<size_t>(g.oc), 0);
  weight.scale.clear();
  for (int64_t c = 0; c < g.oc; ++c) {
    weight.scale.push_back(1e-4f * static_cast<float>(20 + random() % 40));
    layer.bias.push_back(0.01 * static_cast<double>(random() % 200) - 1);
  }
  // A product of two uniform codes has a standard deviation of about 74 * 74 (148 for uint8).
  const double deviation = 74.0 * (activation.is_signed ? 74 : 148) *
                           std::sqrt(static_cast<double>(layer.weights.numel() / g.oc));
  layer.output_qparams =
      activation_qparams(activation, static_cast<float>(0.02 * 4e-3 * deviation / 50), 3);
  return layer;
}

backends::IntGraph graph_of(const LayerCase& layer, const backends::Profile& profile) {
  const LayerGeometry& g = layer.geometry;
  fused::IntGraphBuilder builder;
  backends::IntNode node;
  node.op = layer.linear() ? "linear" : "conv2d";
  if (!layer.linear()) {
    const int64_t pad = g.kernel / 2;
    node.attributes.window = {
        {g.kernel, g.kernel}, {g.stride, g.stride}, {1, 1}, {pad, pad, pad, pad}};
    node.attributes.groups = g.groups;
  }
  const backends::OpRules& rules =
      profile.rules_for(g.groups > 1 ? "depthwise_conv2d" : node.op, layer.input_qparams.type);
  const backends::LayerBias bias = backends::quantize_bias(
      rules, layer.bias, layer.input_qparams.scale.front(), layer.weight_qparams.scale);
  builder.begin(g.name, "");
  std::vector<int64_t> one_image = layer.input.shape().extents();
  one_image.front() = 1;
  std::vector<int64_t> one_output = layer.output_shape().extents();
  one_output.front() = 1;
  const int x = builder.add_input("x", layer.input_qparams, Shape(one_image));
  const int w = builder.add_constant("weights", layer.weights, layer.weight_qparams);
  const bool has_qparams = bias.codes.dtype() != DType::float32;
  const int b = builder.add_constant("bias", bias.codes,
                                     has_qparams ? std::optional(bias.qparams) : std::nullopt);
  const int y = builder.add_node(node, g.name, {x, w, b}, layer.output_qparams, Shape(one_output));
  builder.add_output(y);
  return builder.take();
}

}  // namespace facsim::bench
