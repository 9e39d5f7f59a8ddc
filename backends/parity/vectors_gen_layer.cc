// SPDX-License-Identifier: Apache-2.0
// One-node networks that a profile accepts, with inputs that steer accumulators.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <set>

#include "backends/graph/int_shape.h"
#include "backends/lower/lower.h"
#include "backends/parity/vectors_gen-internal.h"
#include "sim/core/error.h"
#include "sim/ops/linear.h"

namespace facsim::backends::detail {

namespace {

using quant::QParams;
using Spec = quant::TensorSpec;

constexpr int kTries = 64;

Shape batch_of_one(const Shape& shape) {
  std::vector<int64_t> extents = shape.extents();
  extents[0] = 1;
  return Shape(extents);
}

int add_tensor(IntGraph& graph, IntTensor tensor) {
  graph.tensors.push_back(std::move(tensor));
  return static_cast<int>(graph.tensors.size()) - 1;
}

void add_input(VectorLayer& layer, std::string name, Tensor x, std::optional<QParams> qparams) {
  IntGraph& graph = layer.graph;
  const int number = add_tensor(
      graph, {std::move(name), x.dtype(), batch_of_one(x.shape()), std::move(qparams), {}});
  graph.inputs.push_back(number);
  graph.nodes.front().inputs.push_back(number);
  layer.inputs.push_back(std::move(x));
}

void add_constant(VectorLayer& layer, std::string name, const Tensor& data,
                  std::optional<QParams> qparams) {
  IntGraph& graph = layer.graph;
  graph.nodes.front().inputs.push_back(
      add_tensor(graph, {std::move(name), data.dtype(), data.shape(), std::move(qparams), data}));
}

void add_output(VectorLayer& layer, DType dtype, std::optional<QParams> qparams) {
  IntGraph& graph = layer.graph;
  IntTensor y{"output", dtype, {}, std::move(qparams), {}};
  y.shape = int_output_shape(graph, graph.nodes.front());
  graph.nodes.front().output = add_tensor(graph, std::move(y));
  graph.outputs = {graph.nodes.front().output};
}

VectorLayer empty_layer(const VectorTarget& target) {
  VectorLayer layer;
  layer.graph.name = target.op;
  layer.graph.profile = target.profile.name;
  layer.graph.profile_fingerprint = target.profile.fingerprint;
  IntNode node;
  node.name = node.op = target.op;
  layer.graph.nodes.push_back(std::move(node));
  return layer;
}

float legal_scale(const VectorTarget& target, float scale) {
  if (target.rules.activation.scale == Spec::Scale::any) return scale;
  return std::ldexp(1.0f, std::ilogb(scale));
}

/// Parameters of an activation by the profile's zero point rule.
QParams activation_qparams(const VectorTarget& target, VectorDice& dice, sim::IntType type,
                           float scale, VectorStrategy strategy) {
  QParams q;
  q.type = type;
  q.quant_min = type.min();
  q.quant_max = type.max();
  q.scale = {legal_scale(target, scale)};
  const int64_t middle = type.is_signed ? 0 : (type.max() + 1) / 2;
  int64_t zero_point = dice.pick<int64_t>({middle, dice.between(type.min(), type.max())});
  if (strategy == VectorStrategy::edges) zero_point = dice.pick({type.min(), type.max(), middle});
  if (target.rules.activation.zero_point == Spec::ZeroPoint::zero) zero_point = 0;
  if (target.rules.activation.zero_point == Spec::ZeroPoint::middle) zero_point = middle;
  q.zero_point = {zero_point};
  return q;
}

Tensor codes_of(VectorDice& dice, sim::IntType type, const Shape& shape, VectorStrategy strategy) {
  Tensor codes(type.storage(), shape);
  const bool ends = strategy == VectorStrategy::edges || strategy == VectorStrategy::overflow;
  for (int64_t i = 0; i < codes.numel(); ++i) {
    int64_t code = dice.between(type.min(), type.max());
    if (ends && !dice.one_in(3)) code = dice.pick({type.min(), type.max()});
    codes.set_int(i, code);
  }
  return codes;
}

// ---- conv2d, depthwise_conv2d, linear -----------------------------------------------------------

/// What a layer of weights needs before its network can be made.
struct Weighted {
  Tensor x, weights;
  QParams input, weight, output;
  std::vector<int64_t> bias;  ///< accumulator units
  NodeAttributes attributes;
  bool steered = false;  ///< each output pixel has its own taps
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
  for (int64_t c = 0; c < oc; ++c) {
    for (int64_t t = 0; t < taps; ++t) {
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

/// Input codes of one window that add `distance` to an accumulator; what is left over stays.
class TapSolver {
 public:
  TapSolver(const Weighted& w, Tensor& x) : w_(w), x_(x) {}

  void solve(const std::vector<int64_t>& places, const std::vector<int64_t>& weights,
             int64_t distance) {
    const int64_t zero_point = w_.input.zero_point.front();
    const int64_t low = w_.input.type.min() - zero_point, high = w_.input.type.max() - zero_point;
    for (size_t i = places.size(); i-- > 0;) {
      int64_t value = 0;
      if (weights[i] != 0) {
        // Toward zero: what is left keeps its sign, and the first tap, of weight 1, adds it.
        value = std::clamp(distance / weights[i], low, high);
        distance -= value * weights[i];
      }
      x_.set_int(places[i], zero_point + value);
    }
  }

 private:
  const Weighted& w_;
  Tensor& x_;
};

void steer_inputs(const Weighted& w, VectorDice& dice,
                  const std::vector<std::vector<int64_t>>& wanted, Tensor& x) {
  TapSolver solver(w, x);
  const Shape& s = w.weights.shape();
  const int64_t oc = s[0];
  const auto distance = [&](int64_t c) {
    const auto& list = wanted[static_cast<size_t>(c)];
    const int64_t bias = w.bias.empty() ? 0 : w.bias[static_cast<size_t>(c)];
    if (list.empty()) return dice.between(-200, 200);
    return list[static_cast<size_t>(dice.between(0, static_cast<int64_t>(list.size()) - 1))] - bias;
  };
  if (s.rank() == 2) {
    for (int64_t n = 0; n < x.shape()[0]; ++n) {
      const int64_t c = n % oc;
      std::vector<int64_t> places, weights;
      for (int64_t i = 0; i < s[1]; ++i) {
        places.push_back(n * s[1] + i);
        weights.push_back(w.weights.int_at(c * s[1] + i));
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
  const auto* conv = dynamic_cast<const sim::Conv2d*>(&op);
  if (conv == nullptr) {
    throw Error(
        {ErrorCode::unsupported, std::string(op.kind()), "no accumulator to steer", "", ""});
  }
  return conv->params().requantize;
}

VectorLayer try_weighted(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  Weighted w;
  w.steered = strategy != VectorStrategy::random;
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

// ---- ops of codes -------------------------------------------------------------------------------

Tensor all_codes(sim::IntType type) {
  const int64_t count = type.max() - type.min() + 1;
  Tensor codes(type.storage(), {1, count});
  for (int64_t i = 0; i < count; ++i) codes.set_int(i, type.min() + i);
  return codes;
}

VectorLayer try_binary(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  VectorLayer layer = empty_layer(target);
  NodeAttributes& attributes = layer.graph.nodes.front().attributes;
  if (target.op != "minimum" && target.op != "maximum" && dice.one_in(3)) {
    attributes.activation = Activation::relu;
  }
  const bool pairs = strategy == VectorStrategy::exhaustive8 && target.input.bits <= 8;
  const bool same = target.op == "minimum" || target.op == "maximum" || dice.one_in(8);
  float scale = dice.magnitude(-7, -3);
  if (strategy == VectorStrategy::ties) scale = std::ldexp(1.0f, std::ilogb(scale));
  const auto factor = [&] {
    if (same) return 1.0f;
    if (strategy == VectorStrategy::ties) {
      return dice.pick({0.5f, 1.0f, 1.5f, 0.25f, 0.75f, 2.0f});
    }
    if (strategy == VectorStrategy::edges) return dice.magnitude(-6, 3);
    return dice.magnitude(-1.5f, 1.5f);
  };
  const QParams first = activation_qparams(target, dice, target.input, scale * factor(), strategy);
  QParams second = activation_qparams(target, dice, target.input, scale * factor(), strategy);
  float output_scale = scale * factor();
  if (target.op == "mul") output_scale = first.scale.front() * dice.magnitude(-2, 2);
  QParams output = activation_qparams(target, dice, target.output, output_scale, strategy);
  if (same) second = output = first;
  Tensor a, b;
  if (pairs) {
    const int64_t count = target.input.max() - target.input.min() + 1;
    a = Tensor(target.input.storage(), {1, count, count, 1});
    b = Tensor(target.input.storage(), a.shape());
    for (int64_t i = 0; i < a.numel(); ++i) {
      a.set_int(i, target.input.min() + i / count);
      b.set_int(i, target.input.min() + i % count);
    }
  } else {
    const Shape shape{1, 4, 4, dice.between(4, 16)};
    a = codes_of(dice, target.input, shape, strategy);
    b = codes_of(dice, target.input, shape, strategy);
  }
  add_input(layer, "input1", a, first);
  add_input(layer, "input2", b, second);
  add_output(layer, output.type.storage(), output);
  return layer;
}

/// Reals on and beside the middle between codes, and at the ends.
Tensor reals_for(const QParams& output, VectorDice& dice, VectorStrategy strategy) {
  Tensor x(DType::float32, {1, 128});
  const float scale = output.scale.front();
  for (float& value : x.values<float>()) {
    const auto code = static_cast<float>(dice.between(output.quant_min - 2, output.quant_max + 2) -
                                         output.zero_point.front());
    value = (code + dice.pick({0.5f, -0.5f, 0.0f, 0.25f})) * scale;
    if (dice.one_in(3)) value = std::nextafter(value, dice.pick({-INFINITY, INFINITY}));
    if (strategy == VectorStrategy::random) value = (code + dice.magnitude(-8, 0)) * scale;
    if (strategy == VectorStrategy::edges && dice.one_in(4)) {
      value = dice.pick({0.0f, -0.0f, 3e38f, -3e38f, 1e-38f});
    }
  }
  return x;
}

VectorLayer try_unary(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  VectorLayer layer = empty_layer(target);
  NodeAttributes& attributes = layer.graph.nodes.front().attributes;
  attributes.alpha = dice.magnitude(-6, -1);
  float scale = dice.magnitude(-7, -2);
  if (strategy == VectorStrategy::ties) scale = std::ldexp(1.0f, std::ilogb(scale));
  const QParams input = activation_qparams(target, dice, target.input, scale, strategy);
  float out_scale = scale * dice.magnitude(-1, 1);
  if (strategy == VectorStrategy::ties) out_scale = scale * dice.pick({2.0f, 4.0f, 0.5f, 0.75f});
  QParams output = activation_qparams(target, dice, target.output, out_scale, strategy);
  // Functions with a fixed output range, and ops that keep their codes.
  const sim::IntType type = target.output;
  switch (dice.between(0, 3)) {
    case 0:
      output = input;
      break;
    case 1:
      output.scale = {std::ldexp(1.0f, -type.bits)};
      output.zero_point = {type.min()};
      if (type.bits > 8) output.scale = {std::ldexp(1.0f, 1 - type.bits)};
      if (type.bits > 8) output.zero_point = {0};
      break;
    case 2:
      output.scale = {std::ldexp(1.0f, 1 - type.bits)};
      output.zero_point = {type.is_signed ? 0 : (type.max() + 1) / 2};
      break;
    default:
      break;
  }
  if (target.op == "quantize") {
    add_input(layer, "input", reals_for(output, dice, strategy), std::nullopt);
  } else if (target.input.bits <= 8 && strategy != VectorStrategy::random) {
    add_input(layer, "input", all_codes(target.input), input);
  } else {
    add_input(layer, "input", codes_of(dice, target.input, {2, 64}, strategy), input);
  }
  if (target.op == "dequantize") {
    add_output(layer, DType::float32, std::nullopt);
  } else {
    add_output(layer, output.type.storage(), output);
  }
  return layer;
}

VectorLayer try_pool(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  VectorLayer layer = empty_layer(target);
  NodeAttributes& attributes = layer.graph.nodes.front().attributes;
  const Shape shape{1, dice.between(3, 7), dice.between(3, 7), dice.between(1, 8)};
  sim::Window2d& window = attributes.window;
  if (target.op != "global_avg_pool") {
    // Windows of 2 and 4 taps meet ties.
    window.kernel = {dice.pick<int64_t>({1, 2, 2, 3}), dice.pick<int64_t>({2, 2, 1, 3})};
    window.stride = {dice.between(1, 2), dice.between(1, 2)};
    if (strategy == VectorStrategy::random) {
      window.padding = {dice.between(0, window.kernel[0] - 1),
                        dice.between(0, window.kernel[1] - 1), 0, 0};
    }
  }
  const QParams input =
      activation_qparams(target, dice, target.input, dice.magnitude(-6, -2), strategy);
  QParams output = input;
  if (target.op != "max_pool2d" && dice.one_in(2)) {
    const float ratio =
        strategy == VectorStrategy::ties ? dice.pick({0.5f, 2.0f, 1.0f}) : dice.magnitude(-1, 1);
    output = activation_qparams(target, dice, target.output, input.scale.front() * ratio, strategy);
  }
  if (dice.one_in(3)) attributes.activation = Activation::relu;
  attributes.count_include_pad = target.op == "avg_pool2d" && dice.one_in(2);
  add_input(layer, "input", codes_of(dice, target.input, shape, strategy), input);
  add_output(layer, output.type.storage(), output);
  return layer;
}

// ---- ops that move codes ------------------------------------------------------------------------

VectorLayer try_moving(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  VectorLayer layer = empty_layer(target);
  NodeAttributes& attributes = layer.graph.nodes.front().attributes;
  const Shape shape{1, dice.between(3, 5), dice.between(3, 5), dice.between(2, 4)};
  const QParams input =
      activation_qparams(target, dice, target.input, dice.magnitude(-6, -2), strategy);
  QParams output = input;
  if (dice.one_in(2)) {
    output = activation_qparams(target, dice, target.output,
                                input.scale.front() * dice.magnitude(-1, 1), strategy);
  }
  add_input(layer, "input", codes_of(dice, target.input, shape, strategy), input);
  if (target.op == "concat") {
    attributes.axis = 3;
    const QParams second =
        dice.one_in(2)
            ? input
            : activation_qparams(target, dice, target.input, input.scale.front() * 1.5f, strategy);
    add_input(layer, "input2", codes_of(dice, target.input, shape, strategy), second);
  } else if (target.op == "pad") {
    attributes.pad_before = {0, dice.between(0, 2), dice.between(0, 2), 0};
    attributes.pad_after = {0, dice.between(0, 2), 1, dice.between(0, 1)};
  } else if (target.op == "slice") {
    attributes.begin = {0, 1, 0, 0};
    attributes.end = {1, shape[1], shape[2], shape[3]};
    attributes.strides = {1, 1, dice.between(1, 2), 1};
  } else if (target.op == "transpose") {
    attributes.permutation = {0, 3, 1, 2};
  } else if (target.op == "mean") {
    attributes.axes = {1, 2};
  } else if (target.op == "resize") {
    attributes.resize.size = {dice.between(2, 8), dice.between(2, 8)};
    attributes.resize.mode =
        dice.pick({ResizeAttributes::Mode::nearest, ResizeAttributes::Mode::bilinear});
    attributes.resize.half_pixel_centers = dice.one_in(2);
  } else if (target.op == "prelu") {
    QParams alpha =
        activation_qparams(target, dice, target.input, dice.magnitude(-8, -5), strategy);
    add_constant(layer, "alpha", codes_of(dice, target.input, {shape[3]}, strategy), alpha);
  }
  add_output(layer, output.type.storage(), output);
  return layer;
}

using Maker = VectorLayer (*)(const VectorTarget&, VectorDice&, VectorStrategy);

struct MakerEntry {
  std::string_view op;
  Maker make;
};

constexpr std::array kMakers{
    MakerEntry{"conv2d", try_weighted},  MakerEntry{"linear", try_weighted},
    MakerEntry{"add", try_binary},       MakerEntry{"sub", try_binary},
    MakerEntry{"mul", try_binary},       MakerEntry{"minimum", try_binary},
    MakerEntry{"maximum", try_binary},   MakerEntry{"max_pool2d", try_pool},
    MakerEntry{"avg_pool2d", try_pool},  MakerEntry{"global_avg_pool", try_pool},
    MakerEntry{"mean", try_moving},      MakerEntry{"pad", try_moving},
    MakerEntry{"concat", try_moving},    MakerEntry{"slice", try_moving},
    MakerEntry{"transpose", try_moving}, MakerEntry{"resize", try_moving},
    MakerEntry{"prelu", try_moving},     MakerEntry{"quantize", try_unary},
    MakerEntry{"dequantize", try_unary}, MakerEntry{"requantize", try_unary},
    MakerEntry{"relu", try_unary},       MakerEntry{"relu6", try_unary},
    MakerEntry{"clamp", try_unary},      MakerEntry{"leaky_relu", try_unary},
    MakerEntry{"hard_swish", try_unary}, MakerEntry{"sigmoid", try_unary},
    MakerEntry{"tanh", try_unary},       MakerEntry{"softmax", try_unary}};

/// Null for an op that has no generator.
Maker maker_of(std::string_view op) {
  const auto entry =
      std::find_if(kMakers.begin(), kMakers.end(), [&](const MakerEntry& e) { return e.op == op; });
  return entry == kMakers.end() ? nullptr : entry->make;
}

std::vector<std::string_view> generated_ops() {
  std::vector<std::string_view> ops{"depthwise_conv2d"};
  for (const MakerEntry& entry : kMakers) ops.push_back(entry.op);
  return ops;
}

/// Layers are lowered by the types that they have, and by `per_tensor` if their weights have one
/// scale. A variant that those do not select would give vectors of the op's own rules under the
/// variant's name.
void require_layer_reaches(const Profile::Choice& choice, std::string_view phrase) {
  const size_t space = choice.name.find(' ');
  if (space == std::string::npos || choice.rules->when.count() > 0) return;
  if (choice.name.substr(space + 1) == "per_tensor") return;
  throw Error({ErrorCode::unsupported, fmt::format("op \"{}\"", phrase),
               "a variant without `when`, which the types of a layer do not select",
               "an op, or a variant that types select",
               fmt::format("it is only reached by facsim requantize --op \"{}\"", phrase)});
}

}  // namespace

int64_t VectorDice::between(int64_t low, int64_t high) {
  const uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
  const uint64_t offset = span == 0 ? random_() : random_() % span;
  return static_cast<int64_t>(static_cast<uint64_t>(low) + offset);
}

float VectorDice::magnitude(float low, float high) {
  const float unit = static_cast<float>(random_() >> 40) * 0x1p-24f;
  return std::exp2(low + (high - low) * unit);
}

VectorTarget vector_target(const Profile& profile, std::string_view phrase) {
  const Profile::Choice choice = profile.choose(phrase);
  std::string op = choice.name.substr(0, choice.name.find(' '));
  if (op == "depthwise_conv2d") op = "conv2d";
  if (maker_of(op) == nullptr) {
    throw Error({ErrorCode::unsupported, "op " + op, "no generator of vectors",
                 fmt::format("one of {}", fmt::join(generated_ops(), ", ")), ""});
  }
  require_layer_reaches(choice, phrase);
  // A type word is the operands' type, which chose the rules; the output's follows it unless the
  // profile sets one.
  const OpRules& rules = *choice.rules;
  const bool own_output = rules.output_types != rules.activation_types;
  return {profile,
          op,
          choice.name,
          rules,
          own_output ? rules.activation_types.front() : choice.output,
          rules.weight_types.front(),
          choice.output};
}

std::shared_ptr<const sim::Op> lower_layer(const VectorLayer& layer, const Profile& profile) {
  return lower(layer.graph, profile).nodes.front().op;
}

Tensor compute_layer(const VectorLayer& layer, const Profile& profile) {
  const auto op = lower_layer(layer, profile);
  std::vector<Shape> shapes;
  std::vector<const Tensor*> inputs;
  for (const Tensor& x : layer.inputs) {
    shapes.push_back(x.shape());
    inputs.push_back(&x);
  }
  Tensor output(op->output_dtype(), op->output_shape(shapes));
  op->run(inputs, output, {sim::Isa::scalar, nullptr, false});
  return output;
}

VectorLayer make_layer(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  const Maker make = maker_of(target.op);
  for (int i = 1;; ++i) {
    try {
      VectorLayer layer = make(target, dice, strategy);
      compute_layer(layer, target.profile);
      return layer;
    } catch (const Error&) {
      if (i == kTries) throw;
    }
  }
}

}  // namespace facsim::backends::detail
