// SPDX-License-Identifier: Apache-2.0
// Layers of weights, whose accumulators a strategy steers: conv2d, depthwise_conv2d,
// transpose_conv2d, linear.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/lower/lower.h"
#include "backends/parity/vectors_gen_build-internal.h"
#include "sim/core/error.h"
#include "sim/ops/linear.h"
#include "sim/ops/transpose_conv2d.h"

namespace facsim::backends::detail {

namespace {

using quant::QParams;
using Spec = quant::TensorSpec;

/// What a layer of weights needs before its network can be made.
struct Weighted {
  Tensor x, weights;
  QParams input, weight, output;
  std::vector<int64_t> bias;  ///< accumulator units
  NodeAttributes attributes;
  bool steered = false;  ///< each output pixel has its own taps
  bool transposed = false;
};

Tensor bias_tensor(const VectorTarget& target, const Weighted& w, QParams& qparams) {
  const BiasSpec& spec = target.rules.bias;
  const auto channels = static_cast<int64_t>(w.bias.size());
  const auto unit = [&](int64_t c) {
    return w.input.scale.front() *
           w.weight.scale[w.weight.scale.size() == 1 ? 0 : static_cast<size_t>(c)];
  };
  if (spec.kind == BiasSpec::Kind::float32) {
    Tensor bias(DType::float32, {channels});
    for (int64_t c = 0; c < channels; ++c) {
      bias.data<float>()[c] = static_cast<float>(w.bias[static_cast<size_t>(c)]) * unit(c);
    }
    return bias;
  }
  const sim::IntType type{spec.bits, true};
  qparams.type = type;
  qparams.quant_min = type.min();
  qparams.quant_max = type.max();
  const size_t scales =
      spec.scale == BiasSpec::Scale::input_times_weight ? w.weight.scale.size() : 1;
  qparams.scale.clear();
  for (size_t c = 0; c < scales; ++c) qparams.scale.push_back(unit(static_cast<int64_t>(c)));
  qparams.zero_point.assign(scales, 0);
  qparams.channel_axis = scales > 1 ? 0 : -1;
  Tensor bias(type.storage(), {channels});
  for (int64_t c = 0; c < channels; ++c) {
    bias.set_int(c, std::clamp(w.bias[static_cast<size_t>(c)], type.min(), type.max()));
  }
  return bias;
}

VectorLayer weighted_layer(const VectorTarget& target, const Weighted& w) {
  VectorLayer layer = empty_layer(target);
  layer.graph.nodes.front().attributes = w.attributes;
  add_input(layer, "input", w.x, w.input);
  add_constant(layer, "weights", w.weights, w.weight);
  if (!w.bias.empty()) {
    QParams qparams;
    const Tensor bias = bias_tensor(target, w, qparams);
    const bool real = bias.dtype() == DType::float32;
    add_constant(layer, "bias", bias, real ? std::nullopt : std::optional(qparams));
  }
  add_output(layer, w.output.type.storage(), w.output);
  return layer;
}

/// Steered: windows that do not overlap.
void choose_transposed(const VectorTarget& target, VectorDice& dice, Weighted& w) {
  sim::Window2d& window = w.attributes.window;
  for (size_t i = 0; i < 2; ++i) {
    window.kernel[i] = dice.between(1, 3);
    window.stride[i] = w.steered ? window.kernel[i] : dice.between(1, 3);
  }
  if (!w.steered) {
    window.padding = {dice.between(0, window.kernel[0] - 1), dice.between(0, window.kernel[1] - 1),
                      0, 0};
    w.attributes.output_padding = {dice.between(0, window.stride[0] - 1), 0};
  }
  const int64_t ic = w.steered ? 8 : dice.between(2, 5), oc = dice.between(2, 4);
  const Shape shape{1, dice.between(3, 5), dice.between(3, 5), ic};
  w.x = codes_of(dice, target.input, shape, VectorStrategy::random);
  w.weights = codes_of(dice, target.weight, {oc, window.kernel[0], window.kernel[1], ic},
                       VectorStrategy::random);
}

void choose_geometry(const VectorTarget& target, VectorDice& dice, Weighted& w) {
  const bool depthwise = target.rules_op.starts_with("depthwise_conv2d");
  const VectorStrategy fill = VectorStrategy::random;
  if (target.op == "linear") {
    const int64_t ic = w.steered ? 8 : dice.between(1, 24);
    const int64_t oc = dice.between(3, 6);
    w.x = codes_of(dice, target.input, {w.steered ? 8 * oc : dice.between(1, 6), ic}, fill);
    w.weights = codes_of(dice, target.weight, {oc, ic}, fill);
    return;
  }
  sim::Window2d& window = w.attributes.window;
  if (w.transposed) {
    choose_transposed(target, dice, w);
    return;
  }
  for (size_t i = 0; i < 2; ++i) {
    window.kernel[i] = w.steered ? dice.between(1, 3) : dice.between(1, 4);
    window.stride[i] = w.steered ? window.kernel[i] : dice.between(1, 3);
    window.dilation[i] = !w.steered && dice.one_in(3) ? 2 : 1;
  }
  int64_t h = dice.between(3, 7), width = dice.between(3, 7);
  if (w.steered) {
    h = 6 * window.kernel[0];
    width = 4 * window.kernel[1];
  } else {
    const auto pad = [&](size_t i) { return dice.between(0, window.kernel[i] - 1); };
    window.padding = {pad(0), pad(1), pad(0), pad(1)};
    h = std::max(h, (window.kernel[0] - 1) * window.dilation[0] + 1);
    width = std::max(width, (window.kernel[1] - 1) * window.dilation[1] + 1);
  }
  int64_t groups = !w.steered && dice.one_in(2) ? 2 : 1;
  int64_t group_ic = w.steered ? 6 : dice.between(2, 5);
  int64_t group_oc = dice.between(2, 4);
  if (depthwise) {
    groups = dice.between(3, 6);
    group_ic = 1;
    group_oc = w.steered ? 1 : dice.between(1, 2);
  }
  w.attributes.groups = groups;
  w.x = codes_of(dice, target.input, {1, h, width, groups * group_ic}, fill);
  w.weights = codes_of(dice, target.weight,
                       {groups * group_oc, window.kernel[0], window.kernel[1], group_ic}, fill);
}

void choose_weights(const VectorTarget& target, VectorDice& dice, Weighted& w) {
  const int64_t oc = w.weights.shape()[0];
  const int64_t taps = w.weights.numel() / oc;
  w.weight.type = target.weight;
  w.weight.quant_min = target.weight.min();
  w.weight.quant_max = target.weight.max();
  w.weight.zero_point = {0};
  if (target.rules.weight.zero_point != Spec::ZeroPoint::zero && !w.steered) {
    w.weight.zero_point = {dice.between(target.weight.min(), target.weight.max())};
  }
  const int64_t lowest = target.rules.weight.quant_min();
  for (int64_t i = 0; i < w.weights.numel(); ++i) {
    w.weights.set_int(i, std::max(w.weights.int_at(i), lowest));
  }
  if (!w.steered) return;
  // A tap of weight 1 reaches every residue, the others large distances.
  // A transposed convolution has the same weights at each position of its kernel.
  const int64_t repeats = w.transposed ? w.weights.shape()[3] : taps;
  for (int64_t c = 0; c < oc; ++c) {
    for (int64_t t = 0; t < taps; ++t) {
      if (t >= repeats) {
        w.weights.set_int(c * taps + t, w.weights.int_at(c * taps + t - repeats));
        continue;
      }
      const int64_t large = dice.pick({target.weight.max(), target.weight.max() - 2});
      w.weights.set_int(c * taps + t, t == 0 ? 1 : std::max<int64_t>(large, 1));
    }
  }
}

/// s_x * s_w / s_y: few-bit numbers for ties, above 1 for overflows, else what spreads over codes.
void choose_layer_scales(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy,
                         Weighted& w) {
  const int64_t oc = w.weights.shape()[0];
  const bool per_channel = target.rules.weight.granularity == Spec::Granularity::per_channel &&
                           target.rules.requantize_per_channel && oc > 1 &&
                           !target.rules_op.ends_with(" per_tensor");
  const auto spread = static_cast<float>(target.output.bits - 8);
  float multiplier = dice.magnitude(-12, -5) * std::exp2(spread);
  if (strategy == VectorStrategy::ties) {
    multiplier = std::ldexp(static_cast<float>(dice.pick({1, 1, 3, 5, 7})),
                            static_cast<int>(dice.between(-10, -3)));
  }
  if (strategy == VectorStrategy::edges) multiplier = dice.magnitude(-14, 2);
  if (strategy == VectorStrategy::overflow) multiplier = dice.magnitude(0, 12);
  const float sx = legal_scale(target, dice.magnitude(-8, -2));
  const bool coarse = strategy == VectorStrategy::ties;
  const float input = coarse ? std::ldexp(1.0f, std::ilogb(sx)) : sx;
  w.input.scale = {input};
  const bool weight_powers = target.rules.weight.scale != Spec::Scale::any;
  float sw = dice.magnitude(-8, -4);
  if (coarse || weight_powers) sw = std::ldexp(1.0f, std::ilogb(sw));
  w.weight.scale.assign(per_channel ? static_cast<size_t>(oc) : 1, sw);
  w.output.scale = {legal_scale(target, input * sw / multiplier)};
  for (size_t c = 1; c < w.weight.scale.size(); ++c) {
    const float own = std::ldexp(sw, static_cast<int>(dice.between(-3, 0)));
    w.weight.scale[c] = coarse || weight_powers ? own : own * dice.magnitude(0, 0.9f);
  }
  w.weight.zero_point.assign(w.weight.scale.size(), w.weight.zero_point.front());
  w.weight.channel_axis = w.weight.scale.size() > 1 ? 0 : -1;
}

void steer_inputs(const Weighted& w, VectorDice& dice,
                  const std::vector<std::vector<int64_t>>& wanted, Tensor& x) {
  TapSolver solver(w.input, x);
  const Shape& s = w.weights.shape();
  const int64_t oc = s[0];
  const auto distance = [&](int64_t c) {
    const auto& list = wanted[static_cast<size_t>(c)];
    const int64_t bias = w.bias.empty() ? 0 : w.bias[static_cast<size_t>(c)];
    if (list.empty()) return dice.between(-200, 200);
    return list[static_cast<size_t>(dice.between(0, static_cast<int64_t>(list.size()) - 1))] - bias;
  };
  if (s.rank() == 2 || w.transposed) {
    // A row of input channels each: of a transposed convolution, what one input pixel adds under
    // every kernel position, since no other pixel adds to the same outputs.
    const int64_t ic = s[s.rank() - 1], stride = w.weights.numel() / oc;
    for (int64_t n = 0; n < x.numel() / ic; ++n) {
      const int64_t c = n % oc;
      std::vector<int64_t> places, weights;
      for (int64_t i = 0; i < ic; ++i) {
        places.push_back(n * ic + i);
        weights.push_back(w.weights.int_at(c * stride + i));
      }
      solver.solve(places, weights, distance(c));
    }
    return;
  }
  const int64_t h = x.shape()[1] / s[1], width = x.shape()[2] / s[2], channels = x.shape()[3];
  const int64_t groups = w.attributes.groups;
  for (int64_t pixel = 0; pixel < h * width; ++pixel) {
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t c = groups == 1 ? pixel % oc : g;
      std::vector<int64_t> places, weights;
      for (int64_t t = 0; t < s[1] * s[2] * s[3]; ++t) {
        const int64_t kh = t / s[3] / s[2], kw = t / s[3] % s[2], ic = t % s[3];
        const int64_t row = pixel / width * s[1] + kh, column = pixel % width * s[2] + kw;
        places.push_back((row * x.shape()[2] + column) * channels + g * s[3] + ic);
        weights.push_back(w.weights.int_at(c * s[1] * s[2] * s[3] + t));
      }
      solver.solve(places, weights, distance(c));
    }
  }
}

const sim::Requantizer& requantizer_of(const sim::Op& op) {
  if (const auto* linear = dynamic_cast<const sim::Linear*>(&op)) {
    return linear->conv().params().requantize;
  }
  if (const auto* transposed = dynamic_cast<const sim::TransposeConv2d*>(&op)) {
    return transposed->params().layer.requantize;
  }
  const auto* conv = dynamic_cast<const sim::Conv2d*>(&op);
  if (conv == nullptr) {
    throw Error(
        {ErrorCode::unsupported, std::string(op.kind()), "no accumulator to steer", "", ""});
  }
  return conv->params().requantize;
}

}  // namespace

VectorLayer try_weighted(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  Weighted w;
  w.steered = strategy != VectorStrategy::random;
  w.transposed = target.op == "transpose_conv2d";
  choose_geometry(target, dice, w);
  w.input = activation_qparams(target, dice, target.input, 1, strategy);
  w.output = activation_qparams(target, dice, target.output, 1, strategy);
  choose_weights(target, dice, w);
  choose_layer_scales(target, dice, strategy, w);
  if (dice.one_in(3)) {
    w.attributes.activation = dice.pick({Activation::relu, Activation::relu6});
  }
  const bool has_bias = target.rules.bias.kind != BiasSpec::Kind::none;
  const auto oc = static_cast<size_t>(w.weights.shape()[0]);
  if (has_bias) w.bias.assign(oc, 0);
  VectorLayer layer = weighted_layer(target, w);
  const auto op = lower_layer(layer, target.profile);
  if (!w.steered) {
    for (int64_t& b : w.bias) b = dice.between(-2000, 2000);
    return weighted_layer(target, w);
  }
  const sim::IntType acc = target.rules.accumulator.type();
  const int64_t low = std::max<int64_t>(acc.min(), INT32_MIN);
  const int64_t high = std::min<int64_t>(acc.max(), INT32_MAX);
  // A float32 bias is a step of the program, not part of the accumulator.
  const bool bias_steers = has_bias && target.rules.bias.kind == BiasSpec::Kind::integer;
  std::vector<std::vector<int64_t>> wanted(oc);
  for (size_t c = 0; c < oc; ++c) {
    const sim::Requantizer& requantize = requantizer_of(*op);
    wanted[c] =
        steered_accumulators(requantize, static_cast<int64_t>(c), strategy, low, high, dice);
    if (bias_steers && !wanted[c].empty()) {
      const auto last = static_cast<int64_t>(wanted[c].size()) - 1;
      w.bias[c] = wanted[c][static_cast<size_t>(dice.between(0, last))];
    }
  }
  steer_inputs(w, dice, wanted, w.x);
  return weighted_layer(target, w);
}

}  // namespace facsim::backends::detail
