// SPDX-License-Identifier: Apache-2.0
#include "tests/peers/random_layers.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace facsim::test {

namespace {

using backends::Activation;
using quant::QParams;

/// Accumulator without bias of output channel `oc` at output pixel (n, oh, ow): the definition,
/// tap by tap.
int64_t accumulator_at(const Layer& layer, int64_t n, int64_t oh, int64_t ow, int64_t oc) {
  const Tensor& x = layer.inputs[0];
  const int64_t zx = layer.qparams[0].zero_point.front();
  const int64_t zw =
      layer.weight.zero_point[layer.weight.zero_point.size() == 1 ? 0 : static_cast<size_t>(oc)];
  const Shape& w = layer.weights.shape();
  int64_t sum = 0;
  if (layer.op == "linear") {
    for (int64_t i = 0; i < w[1]; ++i) {
      sum += (x.int_at(n * w[1] + i) - zx) * (layer.weights.int_at(oc * w[1] + i) - zw);
    }
    return sum;
  }
  const sim::Window2d& window = layer.attributes.window;
  const Shape& s = x.shape();
  const int64_t first = oc / (w[0] / layer.attributes.groups) * w[3];
  for (int64_t kh = 0; kh < w[1]; ++kh) {
    for (int64_t kw = 0; kw < w[2]; ++kw) {
      const int64_t ih = oh * window.stride[0] + kh * window.dilation[0] - window.padding.top;
      const int64_t iw = ow * window.stride[1] + kw * window.dilation[1] - window.padding.left;
      if (ih < 0 || ih >= s[1] || iw < 0 || iw >= s[2]) continue;
      for (int64_t ic = 0; ic < w[3]; ++ic) {
        const int64_t at = ((n * s[1] + ih) * s[2] + iw) * s[3] + first + ic;
        sum += (x.int_at(at) - zx) *
               (layer.weights.int_at(((oc * w[1] + kh) * w[2] + kw) * w[3] + ic) - zw);
      }
    }
  }
  return sum;
}

/// An accumulator whose scaled value lies on, or next to, the middle of two codes inside the clamp.
int64_t steered_accumulator(Dice& dice, const Layer& layer, double multiplier) {
  const auto [low, high] = clamp_codes(layer);
  const int64_t zero_point = layer.output.zero_point.front();
  const double code = static_cast<double>(dice.between(low - 1, high) - zero_point) + 0.5;
  return static_cast<int64_t>(std::llround(code / multiplier)) +
         dice.pick<int64_t>({0, 0, 0, -1, 1});
}

void steer_bias(Dice& dice, Layer& layer, std::vector<int64_t>& bias) {
  const bool linear = layer.op == "linear";
  const Shape& s = layer.inputs[0].shape();
  std::array<int64_t, 2> extent{1, 1};
  if (!linear) extent = layer.attributes.window.output_extent(s[1], s[2]);
  for (size_t c = 0; c < bias.size(); ++c) {
    const auto oc = static_cast<int64_t>(c);
    const double multiplier = static_cast<double>(layer.qparams[0].scale.front()) *
                              static_cast<double>(layer.weight_scale(oc)) /
                              static_cast<double>(layer.output.scale.front());
    const int64_t at =
        accumulator_at(layer, dice.between(0, s[0] - 1), dice.between(0, extent[0] - 1),
                       dice.between(0, extent[1] - 1), oc);
    bias[c] = steered_accumulator(dice, layer, multiplier) - at;
  }
}

/// Few significant bits: products and quotients stay exact, so that ties can be met.
float coarse(Dice& dice, float scale) {
  int exponent = 0;
  std::frexp(scale, &exponent);
  return std::ldexp(static_cast<float>(dice.pick<int>({4, 4, 5, 6, 7})), exponent - 3);
}

void choose_scales(Dice& dice, const LayerDomain& domain, Layer& layer, bool ties) {
  const int64_t channels = layer.channels();
  float sx = dice.magnitude(-10, 2);
  const float sw = dice.magnitude(-12, 0);
  // Mostly a multiplier that spreads the accumulators over the codes; now and then any.
  const auto taps = static_cast<float>(layer.weights.numel() / channels);
  float multiplier = 1.0f / (64.0f * std::sqrt(taps)) * dice.magnitude(-2, 3);
  if (dice.one_in(4)) {
    multiplier =
        dice.magnitude(domain.smallest_multiplier + 0.1f, domain.largest_multiplier - 0.1f);
  }
  if (ties) sx = coarse(dice, sx);
  layer.weight.scale.assign(domain.per_channel ? static_cast<size_t>(channels) : 1, sw);
  for (float& scale : layer.weight.scale) {
    if (domain.per_channel) {
      const float spread = dice.magnitude(-3, 0);
      if (std::log2(multiplier * spread) > domain.smallest_multiplier) scale = sw * spread;
    }
    if (ties) scale = std::ldexp(1.0f, std::ilogb(scale));
  }
  float sy = sx * sw / multiplier;
  if (ties) sy = std::ldexp(1.0f, std::ilogb(sy));
  layer.qparams[0].scale = {sx};
  layer.output.scale = {sy};
}

void choose_bias(Dice& dice, const LayerDomain& domain, Layer& layer, bool ties) {
  const int64_t channels = layer.channels();
  if (!ties && dice.one_in(5)) return;
  std::vector<int64_t> bias(static_cast<size_t>(channels));
  const int bits = dice.one_in(8) ? domain.bias_bits : 14;
  for (int64_t& b : bias) {
    b = dice.between(-(int64_t{1} << bits), int64_t{1} << bits);
  }
  if (ties || dice.one_in(2)) steer_bias(dice, layer, bias);
  for (int64_t& b : bias) {
    const int64_t limit = int64_t{3} << (domain.bias_bits - 1);  // no sum leaves int32
    b = std::clamp(b, -limit, limit);
  }
  layer.bias = Tensor(domain.float_bias ? DType::float32 : DType::int32, {channels});
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t b = bias[static_cast<size_t>(c)];
    if (domain.float_bias) {
      layer.bias.data<float>()[c] =
          static_cast<float>(b) * (layer.qparams[0].scale.front() * layer.weight_scale(c));
    } else {
      layer.bias.set_int(c, b);
    }
  }
}

}  // namespace

QParams random_activation(Dice& dice, sim::IntType type, float scale) {
  QParams qparams;
  qparams.scale = {scale};
  qparams.type = type;
  qparams.quant_min = type.min();
  qparams.quant_max = type.max();
  const int64_t middle = type.is_signed ? 0 : (type.max() + 1) / 2;
  qparams.zero_point = {dice.pick<int64_t>(
      {type.min(), type.max(), middle, dice.between(type.min(), type.max()),
       dice.between(type.min(), type.max()), dice.between(type.min(), type.max())})};
  return qparams;
}

Tensor random_codes(Dice& dice, sim::IntType type, const Shape& shape) {
  Tensor codes(type.storage(), shape);
  const int64_t kind = dice.between(0, 9);
  for (int64_t i = 0; i < codes.numel(); ++i) {
    int64_t code = dice.between(type.min(), type.max());
    if (kind == 0) code = type.min();
    if (kind == 1) code = type.max();
    if (kind == 2) code = dice.one_in(2) ? type.min() : type.max();
    codes.set_int(i, code);
  }
  return codes;
}

void random_clamp(Dice& dice, Layer& layer, LayerDomain::Clamps clamps) {
  QParams& y = layer.output;
  if (clamps == LayerDomain::Clamps::relu) {
    if (dice.one_in(3)) layer.attributes.activation = Activation::relu;
    return;
  }
  switch (dice.between(0, 5)) {
    case 0:
      layer.attributes.activation = Activation::relu;
      break;
    case 1:
      layer.attributes.activation = Activation::relu6;
      break;
    case 2:
      y.quant_min = dice.between(y.type.min(), y.zero_point.front());
      y.quant_max = dice.between(y.zero_point.front(), y.type.max());
      break;
    default:
      break;
  }
}

sim::Window2d random_window(Dice& dice, const Shape& shape, int64_t kernel, bool dilation) {
  sim::Window2d window;
  while (true) {
    for (size_t i = 0; i < 2; ++i) {
      window.kernel[i] = dice.between(1, kernel);
      window.stride[i] = dice.between(1, 3);
      window.dilation[i] = dilation && dice.one_in(4) ? dice.between(2, 3) : 1;
    }
    const auto pad = [&](size_t i) {
      return dice.one_in(2) ? 0 : dice.between(0, window.kernel[i] - 1);
    };
    window.padding = {pad(0), pad(1), pad(0), pad(1)};
    const int64_t reach_h = (window.kernel[0] - 1) * window.dilation[0] + 1;
    const int64_t reach_w = (window.kernel[1] - 1) * window.dilation[1] + 1;
    if (reach_h <= shape[1] + window.padding.top + window.padding.bottom &&
        reach_w <= shape[2] + window.padding.left + window.padding.right) {
      return window;
    }
  }
}

Layer random_linear_layer(Dice& dice, const LayerDomain& domain) {
  Layer layer;
  const bool ties = dice.one_in(3);
  const int64_t n = dice.between(1, 2);
  if (domain.linear) {
    const int64_t ic = dice.one_in(8) ? dice.between(60, 300) : dice.between(1, 40);
    layer.op = "linear";
    layer.inputs.push_back(random_codes(dice, domain.input, {n + dice.between(0, 3), ic}));
    layer.weights = random_codes(dice, domain.weight, {dice.between(1, 20), ic});
  } else {
    const Shape spatial{n, dice.between(1, 8), dice.between(1, 8), 1};
    layer.op = "conv2d";
    layer.attributes.window = random_window(dice, spatial, 4, domain.dilation);
    if (domain.symmetric_padding) {
      sim::Padding2d& pad = layer.attributes.window.padding;
      pad.top = pad.bottom = std::max(pad.top, pad.bottom);
      pad.left = pad.right = std::max(pad.left, pad.right);
    }
    int64_t groups = dice.one_in(3) ? dice.between(2, 4) : 1;
    int64_t group_ic = dice.one_in(8) ? dice.between(16, 40) : dice.between(1, 9);
    int64_t group_oc = dice.between(1, 9);
    if (domain.depthwise) {
      groups = dice.between(2, 24);
      group_ic = 1;
      group_oc = dice.one_in(4) ? dice.between(2, 3) : 1;
    }
    layer.attributes.groups = groups;
    layer.inputs.push_back(
        random_codes(dice, domain.input, {n, spatial[1], spatial[2], groups * group_ic}));
    const auto kernel = layer.attributes.window.kernel;
    layer.weights =
        random_codes(dice, domain.weight, {groups * group_oc, kernel[0], kernel[1], group_ic});
  }
  layer.qparams.push_back(random_activation(dice, domain.input, 1));
  layer.output = random_activation(dice, domain.output, 1);
  layer.weight.type = domain.weight;
  layer.weight.quant_min = domain.weight.min();
  layer.weight.quant_max = domain.weight.max();
  choose_scales(dice, domain, layer, ties);
  const int64_t zero_point =
      domain.weight_zero_point ? random_activation(dice, domain.weight, 1).zero_point.front() : 0;
  layer.weight.zero_point.assign(layer.weight.scale.size(), zero_point);
  for (int64_t& own : layer.weight.zero_point) {
    if (domain.weight_zero_point && domain.per_channel) {
      own = random_activation(dice, domain.weight, 1).zero_point.front();
    }
  }
  layer.weight.channel_axis = domain.per_channel && layer.weight.scale.size() > 1 ? 0 : -1;
  random_clamp(dice, layer, domain.clamps);
  choose_bias(dice, domain, layer, ties);
  return layer;
}

}  // namespace facsim::test
