// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/accumulator_ranges.h"

#include <algorithm>
#include <array>

#include "backends/parity/element.h"
#include "sim/core/wide.h"
#include "sim/ops/conv2d_range.h"
#include "sim/ops/linear.h"

namespace facsim::cli {

namespace {

using sim::int128;

std::string decimal(int128 v) {
  std::string digits;
  for (sim::uint128 rest = static_cast<sim::uint128>(v < 0 ? -v : v); rest != 0 || digits.empty();
       rest /= 10) {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
  }
  return v < 0 ? "-" + digits : digits;
}

int64_t weight_zero_point(const sim::Conv2dParams& params, int64_t channel) {
  return params
      .weight_zero_point[params.weight_zero_point.size() == 1 ? 0 : static_cast<size_t>(channel)];
}

/// One output channel over one receptive field, without padding.
sim::Conv2dParams single_channel(const sim::Conv2dParams& params, int64_t channel) {
  sim::Conv2dParams one = params;
  one.window.padding = {};
  one.window.stride = {1, 1};
  one.window.dilation = {1, 1};
  one.groups = 1;
  one.weights = params.weights.slice(channel, 1);
  one.weight_zero_point = {weight_zero_point(params, channel)};
  if (!params.bias.empty()) one.bias = params.bias.slice(channel, 1);
  one.requantize = {};
  return one;
}

/// The input with the largest (or smallest) total, if it takes the norm out of its width.
std::optional<OverflowWitness> replayed(const sim::Conv2dParams& params, int64_t channel,
                                        bool largest) {
  const sim::Conv2dParams one = single_channel(params, channel);
  const Shape& weights = one.weights.shape();
  Tensor input(params.input_type.storage(), {1, weights[1], weights[2], weights[3]});
  int128 total = one.bias.empty() ? 0 : one.bias.int_at(0);
  for (int64_t i = 0; i < input.numel(); ++i) {
    const int64_t w = one.weights.int_at(i) - one.weight_zero_point[0];
    const int64_t x = (w > 0) == largest ? params.input_type.max() : params.input_type.min();
    input.set_int(i, x);
    total += static_cast<int128>(w) * (x - params.input_zero_point);
  }
  Tensor accumulator(sim::accumulator_dtype(one.accumulator), {1, 1, 1, 1});
  const sim::Events events =
      sim::conv2d_accumulate(one, input, accumulator, {sim::Isa::scalar, nullptr, true});
  if (events.accumulator_overflow == 0) return std::nullopt;
  return OverflowWitness{channel, input.reshaped({weights[1], weights[2], weights[3]}),
                         decimal(total), accumulator.int_at(0)};
}

LayerRange range_of(const sim::Graph::Node& node, const sim::Conv2d& conv,
                    std::optional<int> bits) {
  sim::Conv2dParams params = conv.params();
  if (bits) {
    params.accumulator = {};
    params.accumulator.bits = *bits;
    params.accumulator.overflow = sim::Overflow::wrap;
  }
  const sim::Accumulator& accumulator = params.accumulator;
  const sim::Conv2dRange range(params);
  LayerRange layer{
      .name = node.name, .op = std::string(node.op->kind()), .accumulator = accumulator};
  const int64_t channels = params.weights.shape()[0];
  for (int64_t c = 0; c < channels; ++c) {
    const auto& bounds = range.channel(c);
    layer.channels.push_back({bounds.partial_min, bounds.partial_max,
                              std::max(backends::signed_bits(bounds.partial_min),
                                       backends::signed_bits(bounds.partial_max))});
    if (!range.plain() || bounds.partial_min < accumulator.min() ||
        bounds.partial_max > accumulator.max()) {
      layer.leaving.push_back(c);
    }
  }
  if (layer.leaving.empty()) {
    layer.verdict = LayerRange::Verdict::proved;
    return layer;
  }
  for (const int64_t c : layer.leaving) {
    layer.witness = replayed(params, c, true);
    if (!layer.witness) layer.witness = replayed(params, c, false);
    if (layer.witness) break;
  }
  if (layer.witness) layer.verdict = LayerRange::Verdict::overflows;
  return layer;
}

}  // namespace

const sim::Conv2d* convolution_of(const sim::Op& op) {
  if (const auto* linear = dynamic_cast<const sim::Linear*>(&op)) return &linear->conv();
  return dynamic_cast<const sim::Conv2d*>(&op);
}

int64_t LayerRange::worst_channel() const {
  const auto largest = [](const ChannelRange& c) { return std::max(-c.min, c.max); };
  const auto at = std::max_element(
      channels.begin(), channels.end(),
      [&](const ChannelRange& a, const ChannelRange& b) { return largest(a) < largest(b); });
  return at - channels.begin();
}

const ChannelRange& LayerRange::worst() const {
  return channels[static_cast<size_t>(worst_channel())];
}

const char* to_string(LayerRange::Verdict verdict) {
  switch (verdict) {
    case LayerRange::Verdict::proved:
      return "proved";
    case LayerRange::Verdict::overflows:
      return "overflows";
    case LayerRange::Verdict::open:
      return "open";
  }
  return "?";
}

std::vector<LayerRange> accumulator_ranges(const sim::Graph& graph, std::optional<int> bits,
                                           std::vector<std::string>& not_analysed) {
  // Ops that sum as well, by rules of their own.
  constexpr std::array kOthers = {"transpose_conv2d", "batch_matmul", "svdf", "lstm",
                                  "avg_pool2d",       "mean"};
  std::vector<LayerRange> layers;
  for (const sim::Graph::Node& node : graph.nodes) {
    if (const sim::Conv2d* conv = convolution_of(*node.op)) {
      layers.push_back(range_of(node, *conv, bits));
    } else if (std::find(kOthers.begin(), kOthers.end(), node.op->kind()) != kOthers.end()) {
      not_analysed.push_back(node.name);
    }
  }
  return layers;
}

}  // namespace facsim::cli
