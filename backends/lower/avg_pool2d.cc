// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/avg_pool2d.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/lower/node-internal.h"
#include "backends/lower/platform_average-internal.h"
#include "backends/lower/requantize-internal.h"
#include "sim/core/error.h"
#include "sim/ops/avg_pool2d_dequantized.h"

namespace facsim::backends {

namespace {

using detail::AverageLayer;
using detail::make_shr;
using detail::make_step;
using sim::Operand;
using sim::Step;
using sim::StepKind;

struct PoolZeroPoints {
  int64_t input = 0, output = 0;
};

PoolZeroPoints zero_points_of(const AverageLayer& pool) {
  return {pool.input.zero_point.front(), pool.output.zero_point.front()};
}

/// acc = sum of (q - zero_points.input); `steps`; add zero_points.output; type and clamp.
std::shared_ptr<const sim::Op> make_pool(const AverageLayer& pool, PoolZeroPoints zero_points,
                                         std::vector<Step> steps, sim::Arguments arguments) {
  sim::AvgPool2dParams params;
  params.window = pool.window;
  params.global = pool.global;
  params.input_type = pool.input.type;
  params.input_zero_point = zero_points.input;
  params.count_include_pad = pool.count_include_pad || pool.rules.padding_counts_in_sums;
  params.padding_value = pool.rules.padding_value(pool.input.zero_point.front());
  params.requantize =
      sim::Requantizer({pool.with_output_steps(std::move(steps), zero_points.output)},
                       std::move(arguments), pool.output.type);
  return std::make_shared<sim::AvgPool2d>(std::move(params));
}

/// TFLite reference/integer_ops/pooling.h: the sum of raw codes / taps, rounded.
std::shared_ptr<const sim::Op> integer_average(const AverageLayer& pool) {
  if (pool.input.scale != pool.output.scale || pool.input.zero_point != pool.output.zero_point) {
    throw Error({ErrorCode::unsupported, "average pool",
                 fmt::format("input {} / {}, output {} / {} (scale / zero point)",
                             pool.input.scale.front(), pool.input.zero_point.front(),
                             pool.output.scale.front(), pool.output.zero_point.front()),
                 "the same for input and output", "the algorithm averages codes"});
  }
  sim::Arguments arguments;
  arguments.integers["divisor"] = pool.tap_counts();
  std::vector<Step> steps = {{.kind = StepKind::div,
                              .a = Operand::arg("divisor"),
                              .b = {},
                              .rounding = pool.rules.algorithm_rounding}};
  return make_pool(pool, {}, std::move(steps), std::move(arguments));
}

/// f32(sum(q - zx)) * (sx / f32(sy * taps)), clamp, round, + zy; ONNX Runtime
/// MlasQLinearGlobalAveragePool; XNNPACK xnn_init_qs8_avgpool_minmax.
std::shared_ptr<const sim::Op> float32_scaled_average(const AverageLayer& pool) {
  sim::Arguments arguments;
  std::vector<float>& scale = arguments.reals["scale"];
  for (const int64_t count : pool.tap_counts()) {
    const float divisor = pool.output.scale.front() * static_cast<float>(count);
    scale.push_back(pool.input.scale.front() / divisor);
  }
  sim::Rounding rounding = sim::Rounding::half_even;
  for (const Step& step : pool.rules.requantize.steps) {
    if (step.kind == StepKind::round) rounding = step.rounding;
  }
  return make_pool(
      pool, zero_points_of(pool),
      {make_step(StepKind::to_f32, {}), make_step(StepKind::fmul, Operand::arg("scale")),
       detail::make_fclamp(pool.clamp, pool.output.zero_point.front()),
       detail::make_round(rounding)},
      std::move(arguments));
}

/// XNNPACK average-pooling-nhwc.c: such a window runs the global average pool.
bool window_covers_image(const sim::Window2d& window, int64_t ih, int64_t iw) {
  return window.kernel == std::array<int64_t, 2>{ih, iw} && window.padding == sim::Padding2d{};
}

/// XNNPACK avgpool and gavgpool in fixed point: with r = sx / f32(sy * taps) and its 24-bit
/// mantissa M, y = (sum(q - zx) * M) / 2^shift, rounded by params rounding, + zy. taps is always
/// the window's size: padded taps hold zx.
std::shared_ptr<const sim::Op> mantissa_average(const AverageLayer& pool) {
  const auto taps = static_cast<float>(pool.window_size());
  const float ratio = pool.input.scale.front() / (pool.output.scale.front() * taps);
  quant::MultiplierSpec spec;
  spec.derivation = quant::MultiplierSpec::Derivation::float32_mantissa;
  const quant::Multiplier derived = quant::derive_multiplier(ratio, spec);
  if (derived.shift < 0 || derived.shift > 62) {
    throw Error({ErrorCode::unsupported, "average pool",
                 fmt::format("right shift {}", derived.shift), "0..62",
                 "the scales of input and output are too far apart"});
  }
  return make_pool(pool, zero_points_of(pool),
                   {make_step(StepKind::mul, Operand::constant(derived.multiplier)),
                    make_shr(derived.shift, pool.rules.algorithm_rounding)},
                   {});
}

std::shared_ptr<const sim::Op> dequantized_average(const AverageLayer& pool) {
  if (pool.clamp.min != pool.output.type.min() || pool.clamp.max != pool.output.type.max()) {
    throw Error({ErrorCode::unsupported, "average pool", "a fused activation", "none",
                 "ort.dequantized_average clamps to the output type only"});
  }
  sim::AvgPool2dDequantizedParams params;
  params.window = pool.window;
  params.input_type = pool.input.type;
  params.output_type = pool.output.type;
  params.input_scale = pool.input.scale.front();
  params.output_scale = pool.output.scale.front();
  params.input_zero_point = pool.input.zero_point.front();
  params.output_zero_point = pool.output.zero_point.front();
  params.count_include_pad = pool.count_include_pad || pool.rules.padding_counts_in_sums;
  return std::make_shared<sim::AvgPool2dDequantized>(std::move(params));
}

/// numerator / 2^shift for 1 / taps.
struct Reciprocal {
  int64_t numerator = 0;
  int shift = 0;
};

/// The nearest half_even(2^k / taps) / 2^k over k < ceil(log2(128 * taps)), the smallest k on
/// equality.
Reciprocal nearest_reciprocal(int64_t taps) {
  const auto n = static_cast<double>(taps);
  const int end = static_cast<int>(std::ceil(std::log2(n * 128)));
  Reciprocal best;
  double smallest = 1.0;
  for (int k = 0; k < end; ++k) {
    const double numerator = sim::round_real(sim::Rounding::half_even, std::ldexp(1.0, k) / n);
    const double difference = std::abs(std::ldexp(numerator, -k) - 1.0 / n);
    if (difference < smallest) {
      smallest = difference;
      best = {static_cast<int64_t>(numerator), k};
    }
  }
  return best;
}

/// Vitis AI pytorch_nndct avgpool.py: fixed reciprocals of the common windows.
Reciprocal vitis_reciprocal(int64_t kh, int64_t kw) {
  const auto is = [&](int64_t h, int64_t w) { return kh == h && kw == w; };
  if (is(3, 3)) return {7, 6};
  if (is(5, 5)) return {10, 8};
  if (is(6, 6)) return {7, 8};
  if (is(3, 6) || is(6, 3)) return {7, 7};  // 36 * 7 / 256 of the true average of 18
  if (is(7, 7)) return {21, 10};
  if (is(14, 14)) return {21, 12};
  return nearest_reciprocal(kh * kw);
}

/// acc * numerator / 2^(shift + log2(s_out / s_in)), half_up, saturated.
std::shared_ptr<const sim::Op> reciprocal_average(const AverageLayer& pool) {
  const int scale_shift =
      std::ilogb(pool.output.scale.front()) - std::ilogb(pool.input.scale.front());
  sim::Arguments arguments;
  const auto [kh, kw] = pool.window_extents();
  for (const int64_t count : pool.tap_counts()) {
    const Reciprocal reciprocal =
        count == pool.window_size() ? vitis_reciprocal(kh, kw) : nearest_reciprocal(count);
    const int shift = reciprocal.shift + scale_shift;
    if (shift < -31 || shift > 62) {
      throw Error({ErrorCode::unsupported, "average pool", fmt::format("right shift {}", shift),
                   "-31..62", "the scales of input and output are too far apart"});
    }
    arguments.integers["multiplier"].push_back(reciprocal.numerator);
    arguments.integers["left_shift"].push_back(std::max(-shift, 0));
    arguments.integers["shift"].push_back(std::max(shift, 0));
  }
  return make_pool(pool, zero_points_of(pool),
                   {make_step(StepKind::mul, Operand::arg("multiplier")),
                    make_step(StepKind::shl, Operand::arg("left_shift")),
                    make_shr(Operand::arg("shift"), sim::Rounding::half_up)},
                   std::move(arguments));
}

}  // namespace

std::shared_ptr<const sim::Op> lower_avg_pool2d(const Profile& profile, const sim::Window2d& window,
                                                bool global, bool count_include_pad,
                                                const quant::QParams& input,
                                                const quant::QParams& output, Activation activation,
                                                int64_t ih, int64_t iw) {
  const OpRules& rules = profile.rules_for(global ? "global_avg_pool" : "avg_pool2d", input.type);
  if (!global && rules.algorithm == "xnnpack.mantissa_average" &&
      window_covers_image(window, ih, iw)) {
    return lower_avg_pool2d(profile, window, /*global=*/true, count_include_pad, input, output,
                            activation, ih, iw);
  }
  detail::require_activation("input", input, rules);
  detail::require_activation("output", output, rules);
  const ClampBounds clamp = clamp_bounds(rules, activation, output);
  const AverageLayer pool{rules, window, global, count_include_pad, input, output, clamp, ih, iw};
  if (const int64_t taps = pool.window_size(); taps < 1 || taps > (int64_t{1} << 20)) {
    throw Error(
        {ErrorCode::unsupported, "average pool", fmt::format("{} taps", taps), "1..2^20", ""});
  }
  if (rules.algorithm == "integer_average") return integer_average(pool);
  if (rules.algorithm == "float32_scaled_average") return float32_scaled_average(pool);
  if (rules.algorithm == "xnnpack.mantissa_average") return mantissa_average(pool);
  if (rules.algorithm == "ort.dequantized_average") return dequantized_average(pool);
  if (rules.algorithm == "vitis.reciprocal_average") return reciprocal_average(pool);
  if (auto op = detail::lower_platform_average(pool)) return op;
  throw Error(
      {ErrorCode::unsupported, "average pool", "algorithm \"" + rules.algorithm + "\"", "", ""});
}

}  // namespace facsim::backends

namespace facsim::backends::detail {

namespace {

std::shared_ptr<const sim::Op> lower_average(const NodeView& node, bool global) {
  const Shape& shape = node.tensor(0).shape;
  if (shape.rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, "", to_string(shape), "(N, H, W, C)", ""});
  }
  return lower_avg_pool2d(node.profile(), node.attributes().window, global,
                          node.attributes().count_include_pad, node.qparams(0), node.output(),
                          node.attributes().activation, shape[1], shape[2]);
}

}  // namespace

std::shared_ptr<const sim::Op> lower_node_avg_pool2d(const NodeView& node) {
  return lower_average(node, false);
}

std::shared_ptr<const sim::Op> lower_node_global_avg_pool(const NodeView& node) {
  return lower_average(node, true);
}

}  // namespace facsim::backends::detail
