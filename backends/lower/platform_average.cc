// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/platform_average-internal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "quant/npu_scale.h"
#include "sim/core/error.h"
#include "sim/core/wide.h"

namespace facsim::backends::detail {

namespace {

using sim::Operand;
using sim::Rounding;
using sim::Step;
using sim::StepKind;

[[noreturn]] void refuse_average(std::string found, std::string expected, std::string hint = {}) {
  throw Error({ErrorCode::unsupported, "average pool", std::move(found), std::move(expected),
               std::move(hint)});
}

void require_same_scale(const AverageLayer& layer) {
  if (layer.input.scale == layer.output.scale) return;
  refuse_average(
      fmt::format("scales {} and {}", layer.input.scale.front(), layer.output.scale.front()),
      "the same scale for input and output", "\"" + layer.rules.algorithm + "\" does not rescale");
}

bool padded(const AverageLayer& layer) {
  return !layer.global && layer.window.padding != sim::Padding2d{};
}

/// acc = sum of (q - input_zero_point); then the steps, the output's zero point, saturation and
/// the fused activation.
std::shared_ptr<const sim::Op> average_op(const AverageLayer& layer, bool divide_by_window,
                                          std::vector<Step> steps, sim::Arguments arguments) {
  const int64_t input_zero_point = layer.input.zero_point.front();
  sim::AvgPool2dParams params;
  params.window = layer.window;
  params.global = layer.global;
  params.input_type = layer.input.type;
  params.input_zero_point = input_zero_point;
  params.count_include_pad = divide_by_window;
  params.padding_value = input_zero_point;
  params.requantize =
      sim::Requantizer({layer.with_output_steps(std::move(steps), layer.output.zero_point.front())},
                       std::move(arguments), layer.output.type);
  return std::make_shared<sim::AvgPool2d>(std::move(params));
}

/// sum * multiplier / 2^shift, half_up, with a multiplier for each number of taps.
std::shared_ptr<const sim::Op> reciprocal_by_count(const AverageLayer& layer,
                                                   quant::Multiplier (*reciprocal)(int64_t)) {
  require_same_scale(layer);
  sim::Arguments arguments;
  for (const int64_t count : layer.tap_counts()) {
    const quant::Multiplier derived = reciprocal(count);
    arguments.integers["multiplier"].push_back(derived.multiplier);
    arguments.integers["shift"].push_back(derived.shift);
  }
  return average_op(layer, layer.count_include_pad,
                    {make_step(StepKind::mul, Operand::arg("multiplier")),
                     make_shr(Operand::arg("shift"), Rounding::half_up)},
                    std::move(arguments));
}

quant::Multiplier vela_reciprocal(int64_t taps) { return quant::vela_pooling_scale(taps); }

std::shared_ptr<const sim::Op> tosa_average(const AverageLayer& layer) {
  return reciprocal_by_count(layer, quant::tosa_reciprocal_scale);
}

std::shared_ptr<const sim::Op> ethos_u_average(const AverageLayer& layer) {
  return reciprocal_by_count(layer, vela_reciprocal);
}

/// f32(sum) * (1 / f32(taps)), one float32 rounding each, then half_even.
std::shared_ptr<const sim::Op> onednn_average(const AverageLayer& layer) {
  require_same_scale(layer);
  sim::Arguments arguments;
  for (const int64_t count : layer.tap_counts()) {
    arguments.reals["reciprocal"].push_back(1.0F / static_cast<float>(count));
  }
  return average_op(
      layer, layer.count_include_pad,
      {make_step(StepKind::to_f32, {}), make_step(StepKind::fmul, Operand::arg("reciprocal")),
       make_round(Rounding::half_even)},
      std::move(arguments));
}

/// (sum * rw / 2^16, half_away) * rh / 2^16, half_away, where rw = floor(2^16 / kw). The window's
/// size divides, whatever part of it lies outside the image.
std::shared_ptr<const sim::Op> nvdla_average(const AverageLayer& layer) {
  constexpr int64_t kLargestWindow = 8;
  constexpr int64_t kOne = 1 << 16;
  require_same_scale(layer);
  const auto [kh, kw] = layer.window_extents();
  if (kh > kLargestWindow || kw > kLargestWindow) {
    refuse_average(fmt::format("a window of {} x {}", kh, kw), "at most 8 x 8");
  }
  if (padded(layer) && !layer.count_include_pad) {
    refuse_average("padding that the average leaves out", "count_include_pad",
                   "the unit divides by the window's size");
  }
  std::vector<Step> steps;
  for (const int64_t extent : {kw, kh}) {
    steps.push_back(make_step(StepKind::mul, Operand::constant(kOne / extent)));
    steps.push_back(make_shr(16, Rounding::half_away_from_zero));
  }
  return average_op(layer, true, std::move(steps), {});
}

/// sum >> n, floor, where n is how many bits more than the output type (2^bits - 1) * taps has, for
/// signed inputs too.
std::shared_ptr<const sim::Op> qonnx_average(const AverageLayer& layer) {
  if (padded(layer)) refuse_average("padding", "none", "QuantAvgPool2d has no padding");
  const auto [kh, kw] = layer.window_extents();
  const sim::int128 sum = ((sim::int128{1} << layer.input.type.bits) - 1) * kh * kw;
  int sum_bits = 0;
  while (sum >> sum_bits != 0) ++sum_bits;
  const int shift = std::max(sum_bits - layer.output.type.bits, 0);
  return average_op(layer, true, {make_shr(std::min(shift, 62), Rounding::floor)}, {});
}

struct NamedAverage {
  std::string_view name;
  std::shared_ptr<const sim::Op> (*lower)(const AverageLayer&);
};

constexpr auto kAverages = std::to_array<NamedAverage>({
    {"tosa.reciprocal_average", tosa_average},
    {"ethos_u.pooling_scale", ethos_u_average},
    {"onednn.reciprocal_average", onednn_average},
    {"nvdla.pdp_average", nvdla_average},
    {"qonnx.quant_avg_pool2d", qonnx_average},
});

}  // namespace

std::vector<int64_t> AverageLayer::tap_counts() const {
  if (global) return {window_size()};
  std::vector<int64_t> counts(static_cast<size_t>(window_size()));
  std::iota(counts.begin(), counts.end(), int64_t{1});
  return counts;
}

std::shared_ptr<const sim::Op> lower_platform_average(const AverageLayer& layer) {
  for (const NamedAverage& average : kAverages) {
    if (average.name == layer.rules.algorithm) return average.lower(layer);
  }
  return nullptr;
}

}  // namespace facsim::backends::detail
