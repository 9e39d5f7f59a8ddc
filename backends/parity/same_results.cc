// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/same_results-internal.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "backends/parity/ops_by_params-internal.h"
#include "sim/core/error.h"
#include "sim/ops/conv2d_range.h"
#include "sim/ops/unary_codes.h"

namespace facsim::backends::detail {

namespace {

constexpr int64_t kLargestTable = int64_t{1} << 22;  // elements that are run to compare two ops

bool same_bytes(const Tensor& a, const Tensor& b) {
  if (a.empty() || b.empty()) return a.empty() && b.empty();
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

bool fits_int64(sim::int128 v) {
  return v >= std::numeric_limits<int64_t>::min() / 2 &&
         v <= std::numeric_limits<int64_t>::max() / 2;
}

// --- layers with weights ---

struct WeightedLayer {
  const sim::Conv2dParams* params = nullptr;
  bool pads = false;
};

WeightedLayer weighted_layer(const sim::Op& op) {
  if (const auto* conv = dynamic_cast<const sim::Conv2d*>(&op)) {
    return {&conv->params(), !(conv->params().window.padding == sim::Padding2d{})};
  }
  if (const auto* linear = dynamic_cast<const sim::Linear*>(&op)) {
    return {&linear->conv().params(), false};
  }
  if (const auto* transposed = dynamic_cast<const sim::TransposeConv2d*>(&op)) {
    return {&transposed->params().layer, false};
  }
  return {};
}

int64_t bias_of(const sim::Conv2dParams& layer, int64_t channel) {
  return layer.bias.empty() ? 0 : layer.bias.int_at(channel);
}

struct Interval {
  sim::int128 min, max;
};

/// Sums of products of a channel for inputs of some codes only. Conv2dRange's bounds are those of
/// the type: with X = code - zero_point, P and N the sums of positive and negative weights,
///   least = P * Xmin + N * Xmax, weight_sum = P + N
/// which gives P and N. Padded taps, and taps that are left out, count as 0 or as the padding.
Interval products_of(const sim::Conv2dParams& layer, const sim::Conv2dRange::Bounds& bounds,
                     int64_t bias, const WeightedLayer& one, Codes codes) {
  const Interval all{bounds.total_min - bias, bounds.total_max - bias};
  const sim::int128 low = layer.input_type.min() - layer.input_zero_point;
  const sim::int128 high = layer.input_type.max() - layer.input_zero_point;
  if (low >= high || layer.accumulator.is_structured()) return all;
  const sim::int128 sum = bounds.weight_sum;
  const sim::int128 positive = (all.min - sum * high) / (low - high), negative = sum - positive;
  sim::int128 x_min = std::min<sim::int128>(0, codes.min - layer.input_zero_point);
  sim::int128 x_max = std::max<sim::int128>(0, codes.max - layer.input_zero_point);
  if (one.pads) {
    x_min = std::min<sim::int128>(x_min, layer.padding_value - layer.input_zero_point);
    x_max = std::max<sim::int128>(x_max, layer.padding_value - layer.input_zero_point);
  }
  return {positive * x_min + negative * x_max, positive * x_max + negative * x_min};
}

bool same_layers(const WeightedLayer& one, const WeightedLayer& other, Codes codes,
                 ProofBudget& budget) {
  const sim::Conv2dParams &a = *one.params, &b = *other.params;
  const bool same_sums =
      a.input_type == b.input_type && a.weight_type == b.weight_type &&
      a.input_zero_point == b.input_zero_point && a.weight_zero_point == b.weight_zero_point &&
      same_bytes(a.weights, b.weights) && (!one.pads || a.padding_value == b.padding_value);
  if (!same_sums) return false;
  const sim::Conv2dRange range_a(a), range_b(b);
  const bool exact = range_a.exact(a.accumulator) && range_b.exact(b.accumulator);
  if (!exact && !(a.accumulator == b.accumulator && same_bytes(a.bias, b.bias))) return false;
  budget -= a.weights.numel() / 64;  // what the ranges cost
  struct Channel {
    AppliedProgram a, b;
    int64_t min, max;
  };
  std::vector<Channel> channels;
  int64_t lowest = 0, highest = 0;
  for (int64_t c = 0; c < a.weights.shape()[0]; ++c) {
    Channel channel{{&a.requantize, c, exact ? bias_of(a, c) : 0},
                    {&b.requantize, c, exact ? bias_of(b, c) : 0},
                    a.accumulator.min(),
                    a.accumulator.max()};
    if (exact) {
      const Interval sums = products_of(a, range_a.channel(c), channel.a.add, one, codes);
      if (!fits_int64(sums.min) || !fits_int64(sums.max)) return false;
      channel.min = static_cast<int64_t>(sums.min);
      channel.max = static_cast<int64_t>(sums.max);
    }
    lowest = std::min({lowest, channel.min + channel.a.add, channel.min + channel.b.add});
    highest = std::max({highest, channel.max + channel.a.add, channel.max + channel.b.add});
    channels.push_back(channel);
  }
  const bool kept =
      keeps_order(a.requantize, lowest, highest) && keeps_order(b.requantize, lowest, highest);
  return std::all_of(channels.begin(), channels.end(), [&](const Channel& channel) {
    return same_program(channel.a, channel.b, channel.min, channel.max,
                        kept ? ProgramOrder::kept : ProgramOrder::unknown, budget);
  });
}

// --- sums of taps ---

/// sum over the taps inside the image of (code - zero_point), and of as many constants as taps are
/// outside where these count.
struct TapSums {
  sim::IntType type;
  int64_t zero_point = 0;
  int64_t fewest = 0, most = 0;      ///< taps inside the image
  std::optional<int64_t> pads_with;  ///< a code that is summed outside
  const sim::Requantizer* requantize = nullptr;

  AppliedProgram of_taps(int64_t inside) const {
    if (!pads_with) return {requantize, inside - 1, -inside * zero_point};
    return {requantize, most - 1, (most - inside) * *pads_with - most * zero_point};
  }
};

TapSums tap_sums(const sim::Op& op, const std::vector<InputKind>& inputs) {
  if (const auto* mean = dynamic_cast<const sim::Mean*>(&op)) {
    const sim::MeanParams& p = mean->params();
    return {p.input_type, p.input_zero_point, p.count, p.count, std::nullopt, &p.requantize};
  }
  const auto* pool = dynamic_cast<const sim::AvgPool2d*>(&op);
  if (pool == nullptr) return {};
  const sim::AvgPool2dParams& p = pool->params();
  int64_t taps = p.window.kernel[0] * p.window.kernel[1];
  if (p.global) {
    const Shape& image = inputs[0].shape;
    if (image.rank() != 4) return {};
    taps = image[1] * image[2];
  }
  const bool pads = !p.global && !(p.window.padding == sim::Padding2d{});
  TapSums sums{p.input_type, p.input_zero_point, taps, taps, std::nullopt, &p.requantize};
  if (pads) sums.fewest = 1;
  if (pads && p.count_include_pad) sums.pads_with = p.padding_value;
  return sums;
}

bool same_tap_sums(const TapSums& a, const TapSums& b, Codes codes, ProofBudget& budget) {
  const bool same_taps = a.type == b.type && a.fewest == b.fewest && a.most == b.most &&
                         a.type.bits <= 16 && a.most < (int64_t{1} << 30);
  if (!same_taps) return false;
  for (int64_t taps = a.fewest; taps <= a.most; ++taps) {
    if (!same_program(a.of_taps(taps), b.of_taps(taps), taps * codes.min, taps * codes.max,
                      budget)) {
      return false;
    }
  }
  return true;
}

// --- elementwise ops ---

/// Of what axis an elementwise op has its own program for each index; -1: one for all.
struct ElementwiseKind {
  bool is = false;
  int channel_axis = -1;
};

ElementwiseKind elementwise(const sim::Op& op, int rank) {
  if (const auto* map = dynamic_cast<const sim::Map*>(&op)) {
    if (map->params().requantize.channels() == 1) return {true, -1};
    const int axis = map->params().channel_axis;
    return {true, axis < 0 ? rank - 1 : axis};
  }
  if (const auto* add = dynamic_cast<const sim::Add*>(&op)) {
    const sim::AddParams& p = add->params();
    const bool channels = p.lhs.channels() > 1 || p.rhs.channels() > 1 || p.output.channels() > 1;
    return {true, channels ? rank - 1 : -1};
  }
  if (const auto* mul = dynamic_cast<const sim::Mul*>(&op)) {
    return {true, mul->params().requantize.channels() > 1 ? rank - 1 : -1};
  }
  const bool is = dynamic_cast<const sim::UnaryCodes*>(&op) != nullptr ||
                  dynamic_cast<const sim::Lut*>(&op) != nullptr ||
                  dynamic_cast<const sim::AddFma*>(&op) != nullptr ||
                  dynamic_cast<const sim::MinMax*>(&op) != nullptr ||
                  dynamic_cast<const sim::Prelu*>(&op) != nullptr;
  return {is, -1};
}

/// Every code, or every pair of codes, one in each image; images as small as the op lets them be.
std::vector<Tensor> all_codes(const std::vector<InputKind>& inputs,
                              const std::vector<char>& keeps_axis) {
  int64_t images = 1, elements = 1;
  for (const InputKind& input : inputs) images *= input.codes->max - input.codes->min + 1;
  for (int axis = 1; axis < inputs[0].shape.rank(); ++axis) {
    if (keeps_axis[static_cast<size_t>(axis)]) elements *= inputs[0].shape[axis];
  }
  std::vector<Tensor> tensors;
  if (images > kLargestTable / std::max<int64_t>(elements, 1)) return tensors;
  int64_t before = 1;
  for (const InputKind& input : inputs) {
    Shape shape = inputs[0].shape;
    shape[0] = images;
    for (int axis = 1; axis < shape.rank(); ++axis) {
      if (!keeps_axis[static_cast<size_t>(axis)]) shape[axis] = 1;
    }
    Tensor codes = Tensor::uninitialized(input.dtype, shape);
    const int64_t count = input.codes->max - input.codes->min + 1;
    for (int64_t i = 0; i < codes.numel(); ++i) {
      codes.set_int(i, input.codes->min + i / elements / before % count);
    }
    before *= count;
    tensors.push_back(std::move(codes));
  }
  return tensors;
}

bool same_on_all_codes(const sim::Op& a, const sim::Op& b, const std::vector<InputKind>& inputs,
                       ProofBudget& budget) {
  const int rank = inputs[0].shape.rank();
  std::vector<char> keeps_axis(static_cast<size_t>(rank), 0);
  int64_t combinations = 1;
  for (const InputKind& input : inputs) {
    if (!input.codes || input.shape != inputs[0].shape) return false;
    const int64_t count = input.codes->max - input.codes->min + 1;
    if (count > kLargestTable) return false;
    combinations *= count;
    if (combinations > kLargestTable) return false;
  }
  if (rank < 1) return false;
  for (const sim::Op* op : {&a, &b}) {
    const auto* constant = dynamic_cast<const sim::ConstantInputs*>(op);
    const ElementwiseKind kind = elementwise(constant == nullptr ? *op : constant->op(), rank);
    if (!kind.is) return false;
    if (constant != nullptr) std::fill(keeps_axis.begin(), keeps_axis.end(), char{1});
    if (kind.channel_axis >= rank) return false;
    if (kind.channel_axis >= 0) keeps_axis[static_cast<size_t>(kind.channel_axis)] = 1;
  }
  const std::vector<Tensor> codes = all_codes(inputs, keeps_axis);
  if (codes.empty() || codes[0].numel() > budget) return false;
  budget -= codes[0].numel() / 8;  // by tables and vectors
  std::vector<const Tensor*> pointers;
  std::vector<Shape> shapes;
  for (const Tensor& tensor : codes) {
    pointers.push_back(&tensor);
    shapes.push_back(tensor.shape());
  }
  std::vector<Tensor> outputs;
  for (const sim::Op* op : {&a, &b}) {
    outputs.push_back(Tensor::uninitialized(op->output_dtype(), op->output_shape(shapes)));
    op->run(pointers, outputs.back(), {});
  }
  return same_bytes(outputs[0], outputs[1]);
}

/// As the ops compute: two programs to integers, their sum or difference, a program.
bool same_additions(const sim::AddParams& a, const sim::AddParams& b, ProofBudget& budget) {
  int64_t low = 0, high = 0;
  for (const bool rhs : {false, true}) {
    const sim::Requantizer &f = rhs ? a.rhs : a.lhs, &g = rhs ? b.rhs : b.lhs;
    const sim::IntType type = rhs ? a.rhs_type : a.lhs_type;
    const bool simple = type == (rhs ? b.rhs_type : b.lhs_type) && type.bits <= 16 &&
                        f.channels() == 1 && g.channels() == 1 && !f.output_is_real() &&
                        !g.output_is_real();
    if (!simple) return false;
    int64_t least = INT64_MAX, greatest = INT64_MIN;
    sim::Events events;
    for (int64_t code = type.min(); code <= type.max(); ++code) {
      const int64_t value = f.apply(code, 0, events);
      if (value != g.apply(code, 0, events)) return false;
      least = std::min(least, value);
      greatest = std::max(greatest, value);
    }
    budget -= type.max() - type.min();
    const bool subtracted = rhs && a.kind == sim::AddParams::Kind::sub;
    low += subtracted ? -greatest : least;
    high += subtracted ? -least : greatest;
  }
  return a.output.channels() == 1 && b.output.channels() == 1 &&
         same_program({&a.output}, {&b.output}, low, high, budget);
}

bool same_products(const sim::MulParams& a, const sim::MulParams& b, ProofBudget& budget) {
  const bool simple = a.lhs_type == b.lhs_type && a.rhs_type == b.rhs_type &&
                      a.lhs_zero_point == b.lhs_zero_point &&
                      a.rhs_zero_point == b.rhs_zero_point && a.requantize.channels() == 1 &&
                      b.requantize.channels() == 1;
  if (!simple) return false;
  const int64_t x[] = {a.lhs_type.min() - a.lhs_zero_point, a.lhs_type.max() - a.lhs_zero_point};
  const int64_t y[] = {a.rhs_type.min() - a.rhs_zero_point, a.rhs_type.max() - a.rhs_zero_point};
  const auto [low, high] = std::minmax({x[0] * y[0], x[0] * y[1], x[1] * y[0], x[1] * y[1]});
  return same_program({&a.requantize}, {&b.requantize}, low, high, budget);
}

bool same_by_kind(const sim::Op& a, const sim::Op& b, const std::vector<InputKind>& inputs,
                  ProofBudget& budget) {
  const WeightedLayer layer_a = weighted_layer(a), layer_b = weighted_layer(b);
  if (layer_a.params != nullptr && layer_b.params != nullptr) {
    const sim::IntType type = layer_a.params->input_type;
    const Codes codes = inputs[0].codes.value_or(Codes{type.min(), type.max()});
    return a.kind() == b.kind() && same_layers(layer_a, layer_b, codes, budget);
  }
  const TapSums sums_a = tap_sums(a, inputs), sums_b = tap_sums(b, inputs);
  if (sums_a.requantize != nullptr && sums_b.requantize != nullptr) {
    const Codes codes = inputs[0].codes.value_or(Codes{sums_a.type.min(), sums_a.type.max()});
    return same_tap_sums(sums_a, sums_b, codes, budget);
  }
  if (same_on_all_codes(a, b, inputs, budget)) return true;
  const auto* add_a = dynamic_cast<const sim::Add*>(&a);
  const auto* add_b = dynamic_cast<const sim::Add*>(&b);
  if (add_a != nullptr && add_b != nullptr) {
    return a.kind() == b.kind() && same_additions(add_a->params(), add_b->params(), budget);
  }
  const auto* mul_a = dynamic_cast<const sim::Mul*>(&a);
  const auto* mul_b = dynamic_cast<const sim::Mul*>(&b);
  return mul_a != nullptr && mul_b != nullptr &&
         same_products(mul_a->params(), mul_b->params(), budget);
}

}  // namespace

bool same_results(const sim::Op& a, const sim::Op& b, const std::vector<InputKind>& inputs,
                  ProofBudget& budget) {
  if (inputs.empty() || budget <= 0 || a.output_dtype() != b.output_dtype()) return false;
  try {
    std::vector<Shape> shapes;
    for (const InputKind& input : inputs) shapes.push_back(input.shape);
    return a.output_shape(shapes) == b.output_shape(shapes) && same_by_kind(a, b, inputs, budget);
  } catch (const Error&) {
    return false;  // one of them refuses an input
  }
}

}  // namespace facsim::backends::detail
