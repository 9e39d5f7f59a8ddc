// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/op_sums-internal.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>
#include <utility>

#include "backends/parity/ops_by_params-internal.h"
#include "sim/ops/conv2d_range.h"

namespace facsim::backends::detail {

namespace {

struct Interval {
  sim::int128 min = 0, max = 0;

  void add(Interval other) {
    min += other.min;
    max += other.max;
  }
  Interval with(sim::int128 v) const { return {std::min(min, v), std::max(max, v)}; }
  Interval times(int64_t v) const {
    return v < 0 ? Interval{v * max, v * min} : Interval{v * min, v * max};
  }
  Interval plus(int64_t v) const { return {min + v, max + v}; }
  bool inside(sim::int128 low, sim::int128 high) const { return min >= low && max <= high; }
};

bool fits_int64(Interval v) {
  return v.inside(std::numeric_limits<int64_t>::min() / 2, std::numeric_limits<int64_t>::max() / 2);
}

struct ProductSums {
  Interval total, partial;
  int64_t step = 0;  ///< totals are total.min + k * step; 0: total.min is the only one
};

/// Whether every value of `a` is one of `b`'s.
bool is_part_of(const ProductSums& a, const ProductSums& b) {
  if (a.total.min < b.total.min || a.total.max > b.total.max) return false;
  const int64_t step = std::max<int64_t>(b.step, 1);
  return a.step % step == 0 && (a.total.min - b.total.min) % step == 0;
}

/// What each input channel's X can be.
std::vector<Interval> operands(const WeightedLayer& layer, const CodeRanges& codes) {
  const sim::Conv2dParams& p = *layer.params;
  const int64_t channels = p.weights.shape()[3] * p.groups;
  std::vector<Interval> out;
  for (int64_t c = 0; c < channels; ++c) {
    const Codes own = codes.channels() == channels ? codes.channel(c) : codes.all();
    const Interval x{own.min - p.input_zero_point, own.max - p.input_zero_point};
    out.push_back(layer.leaves_out ? x.with(0) : x);
  }
  return out;
}

/// Which rows, or columns, of a kernel lie inside the image: one flag for each.
using Inside = std::vector<char>;

/// All that occur along an axis of `extent` pixels.
std::set<Inside> insides(const sim::Window2d& window, size_t axis, int64_t extent) {
  const sim::Padding2d& pad = window.padding;
  const int64_t before = axis == 0 ? pad.top : pad.left;
  const int64_t after = axis == 0 ? pad.bottom : pad.right;
  const int64_t reach = (window.kernel[axis] - 1) * window.dilation[axis];
  std::set<Inside> found;
  for (int64_t first = -before; first + reach < extent + after; first += window.stride[axis]) {
    Inside inside;
    for (int64_t k = 0; k < window.kernel[axis]; ++k) {
      const int64_t at = first + k * window.dilation[axis];
      inside.push_back(at >= 0 && at < extent);
    }
    found.insert(std::move(inside));
  }
  return found;
}

/// Where a window can lie.
struct Place {
  Inside rows, columns;
};

std::vector<Place> places(const WeightedLayer& layer, const Shape& input) {
  const sim::Window2d& window = layer.params->window;
  const Shape& weights = layer.params->weights.shape();
  const Place whole{Inside(static_cast<size_t>(weights[1]), 1),
                    Inside(static_cast<size_t>(weights[2]), 1)};
  if (!layer.pads || input.rank() != 4) return {whole};
  std::vector<Place> out;
  for (const Inside& rows : insides(window, 0, input[1])) {
    for (const Inside& columns : insides(window, 1, input[2])) out.push_back({rows, columns});
  }
  return out;
}

ProductSums product_sums(const sim::Conv2dParams& p, const std::vector<Interval>& x,
                         const Place& place, int64_t oc) {
  const Shape& shape = p.weights.shape();
  const int64_t per_group = shape[3];
  const auto first = static_cast<size_t>(oc / (shape[0] / p.groups) * per_group);  // input channel
  const int64_t zero = p.weight_zero_point[p.weight_zero_point.size() == 1 ? 0 : size_t(oc)];
  const Interval padding{p.padding_value - p.input_zero_point,
                         p.padding_value - p.input_zero_point};
  ProductSums sums;
  int64_t tap = oc * shape[1] * shape[2] * per_group;
  for (const char row : place.rows) {
    for (const char column : place.columns) {
      for (int64_t ic = 0; ic < per_group; ++ic, ++tap) {
        const Interval& own = row && column ? x[first + static_cast<size_t>(ic)] : padding;
        const int64_t weight = p.weights.int_at(tap) - zero;
        const Interval product = own.times(weight);
        if (own.min != own.max) sums.step = std::gcd(sums.step, weight);
        sums.total.add(product);
        sums.partial.add(product.with(0));
      }
    }
  }
  return sums;
}

/// Without what is part of another one of the list.
std::vector<ProductSums> largest(const std::vector<ProductSums>& list) {
  std::vector<ProductSums> out;
  for (const ProductSums& one : list) {
    const auto holds_one = [&](const ProductSums& other) { return is_part_of(one, other); };
    if (std::any_of(out.begin(), out.end(), holds_one)) continue;
    std::erase_if(out, [&](const ProductSums& other) { return is_part_of(other, one); });
    out.push_back(one);
  }
  return out;
}

int64_t bias_of(const sim::Conv2dParams& layer, int64_t channel) {
  return layer.bias.empty() ? 0 : layer.bias.int_at(channel);
}

/// Whether every accumulator of a channel is the exact sum: no partial sum leaves the width, or all
/// wraps and the result does not.
bool is_exact(const sim::Accumulator& accumulator, const ProductSums& sums, int64_t bias) {
  if (accumulator.is_structured()) return false;  // for Conv2dRange to say
  const bool bias_first = accumulator.init == sim::Accumulator::Init::bias;
  Interval seen = sums.total.plus(bias);
  if (accumulator.overflow != sim::Overflow::wrap) {
    seen = sums.partial.plus(bias_first ? bias : 0).with(seen.min).with(seen.max);
  }
  return seen.inside(accumulator.min(), accumulator.max());
}

}  // namespace

WeightedLayer weighted_layer(const sim::Op& op) {
  if (const auto* conv = dynamic_cast<const sim::Conv2d*>(&op)) {
    return {&conv->params(), pads(conv->params().window), false};
  }
  if (const auto* linear = dynamic_cast<const sim::Linear*>(&op)) {
    return {&linear->conv().params(), false, false};
  }
  if (const auto* transposed = dynamic_cast<const sim::TransposeConv2d*>(&op)) {
    return {&transposed->params().layer, false, true};
  }
  return {};
}

bool LayerSums::keeps_order() const {
  int64_t lowest = std::numeric_limits<int64_t>::max(), highest = -lowest;
  for (const Channel& channel : channels) {
    lowest = std::min(lowest, channel.program.argument(channel.min));
    highest = std::max(highest, channel.program.argument(channel.max));
  }
  return detail::keeps_order(*channels[0].program.program, lowest, highest);
}

std::optional<LayerSums> layer_sums(const WeightedLayer& layer, const InputKind& input,
                                    const CodeRanges& codes) {
  const sim::Conv2dParams& p = *layer.params;
  const std::vector<Interval> x = operands(layer, codes);
  const std::vector<Place> all_places = places(layer, input.shape);
  LayerSums exact, any;
  exact.exact = true;
  bool each_is_exact = true;
  for (int64_t c = 0; c < p.weights.shape()[0]; ++c) {
    const int64_t bias = bias_of(p, c);
    std::vector<ProductSums> all;
    for (const Place& place : all_places) {
      const ProductSums sums = product_sums(p, x, place, c);
      if (!fits_int64(sums.partial) || !fits_int64(sums.total.plus(bias))) return std::nullopt;
      each_is_exact = each_is_exact && is_exact(p.accumulator, sums, bias);
      all.push_back(sums);
    }
    for (const ProductSums& sums : largest(all)) {
      const auto least = static_cast<int64_t>(sums.total.min);
      const auto greatest = static_cast<int64_t>(sums.total.max);
      const int64_t step = std::max<int64_t>(sums.step, 1);
      exact.channels.push_back(
          {{&p.requantize, c, least + bias, step}, 0, (greatest - least) / step});
    }
    any.channels.push_back({{&p.requantize, c, 0}, p.accumulator.min(), p.accumulator.max()});
  }
  return each_is_exact || sim::Conv2dRange(p).exact(p.accumulator) ? exact : any;
}

TapSums tap_sums(const sim::Op& op, const Shape& input) {
  if (const auto* mean = dynamic_cast<const sim::Mean*>(&op)) {
    const sim::MeanParams& p = mean->params();
    return {p.input_type, p.input_zero_point, p.count, p.count, std::nullopt, &p.requantize};
  }
  const auto* pool = dynamic_cast<const sim::AvgPool2d*>(&op);
  if (pool == nullptr) return {};
  const sim::AvgPool2dParams& p = pool->params();
  int64_t taps = p.window.kernel[0] * p.window.kernel[1];
  if (p.global) {
    if (input.rank() != 4) return {};
    taps = input[1] * input[2];
  }
  const bool padded = !p.global && pads(p.window);
  TapSums sums{p.input_type, p.input_zero_point, taps, taps, std::nullopt, &p.requantize};
  if (padded) sums.fewest = 1;
  if (padded && p.count_include_pad) sums.pads_with = p.padding_value;
  return sums;
}

}  // namespace facsim::backends::detail
