// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/lower/lower.h"
#include "sim/core/error.h"
#include "sim/rounding/rounding.h"

namespace facsim::backends {

namespace {

/// Accumulator units of channel c: s_in * s_w[c] and what a term's shift makes of it, exact in
/// float64.
double accumulator_unit(const OpRules& rules, float input_scale,
                        std::span<const float> weight_scale, size_t channel) {
  return static_cast<double>(input_scale) *
         static_cast<double>(weight_scale[weight_scale.size() == 1 ? 0 : channel]) *
         products_per_accumulator_step(rules.accumulator);
}

void require_length(size_t biases, std::span<const float> weight_scale) {
  if (weight_scale.empty() || (weight_scale.size() != 1 && weight_scale.size() != biases)) {
    throw Error({ErrorCode::shape_mismatch, "bias",
                 fmt::format("{} biases and {} weight scales", biases, weight_scale.size()),
                 "one weight scale, or one per bias", ""});
  }
}

int exponent_of(double power_of_two) {
  int exponent = 0;
  std::frexp(power_of_two, &exponent);
  return exponent - 1;
}

/// Exponent of the finest power of two that holds every bias in `type`, not finer than the
/// accumulator's unit (finer bits would be cut) and at most 16 shifts coarser (Vitis AI
/// shift_bias).
int own_exponent(std::span<const double> bias, double unit, sim::IntType type) {
  constexpr int kLargestShift = 16;
  double largest = 0;
  for (const double b : bias) largest = std::max(largest, std::abs(b));
  const int finest = exponent_of(unit);
  int exponent = finest;
  while (exponent < finest + kLargestShift &&
         largest > std::ldexp(static_cast<double>(type.max()), exponent)) {
    ++exponent;
  }
  return exponent;
}

int64_t saturated_code(double steps, const BiasSpec& spec, sim::IntType type) {
  const double code = sim::round_real(spec.rounding, steps);
  if (code >= static_cast<double>(type.max())) return type.max();
  if (code <= static_cast<double>(type.min())) return type.min();
  return static_cast<int64_t>(code);
}

}  // namespace

LayerBias quantize_bias(const OpRules& rules, std::span<const double> bias, float input_scale,
                        std::span<const float> weight_scale) {
  const BiasSpec& spec = rules.bias;
  LayerBias out;
  require_length(bias.size(), weight_scale);
  for (size_t c = 0; c < bias.size(); ++c) {
    if (!std::isfinite(bias[c])) {
      throw Error({ErrorCode::bad_value, fmt::format("bias, channel {}", c),
                   fmt::format("{}", bias[c]), "a finite number", ""});
    }
  }
  const Shape shape{static_cast<int64_t>(bias.size())};
  if (spec.kind == BiasSpec::Kind::none) {
    const bool all_zero = std::all_of(bias.begin(), bias.end(), [](double b) { return b == 0; });
    if (!all_zero) {
      throw Error({ErrorCode::unsupported, "bias", "a bias", "no bias under this profile", ""});
    }
    return out;
  }
  if (spec.kind == BiasSpec::Kind::float32) {
    out.codes = Tensor(DType::float32, shape);
    std::transform(bias.begin(), bias.end(), out.codes.data<float>(),
                   [](double b) { return static_cast<float>(b); });
    return out;
  }

  const sim::IntType type{spec.bits, true};
  out.qparams.type = type;
  out.qparams.quant_min = type.min();
  out.qparams.quant_max = type.max();
  const bool own = spec.scale == BiasSpec::Scale::own_power_of_two;
  const size_t scales = own ? 1 : weight_scale.size();
  std::vector<double> unit(scales);
  for (size_t c = 0; c < scales; ++c) unit[c] = accumulator_unit(rules, input_scale, weight_scale, c);
  if (own) unit[0] = std::ldexp(1.0, own_exponent(bias, unit[0], type));
  out.qparams.channel_axis = scales > 1 ? 0 : -1;
  out.qparams.scale.assign(unit.begin(), unit.end());
  out.qparams.zero_point.assign(scales, 0);

  out.codes = Tensor(type.storage(), shape);
  for (size_t c = 0; c < bias.size(); ++c) {
    out.codes.set_int(static_cast<int64_t>(c),
                      saturated_code(bias[c] / unit[scales == 1 ? 0 : c], spec, type));
  }
  return out;
}

Tensor accumulator_bias(const OpRules& rules, const LayerBias& bias, float input_scale,
                        std::span<const float> weight_scale) {
  if (bias.codes.empty()) return {};
  const BiasSpec& spec = rules.bias;
  const bool is_real = bias.codes.dtype() == DType::float32;
  if (spec.kind == BiasSpec::Kind::none || is_real != (spec.kind == BiasSpec::Kind::float32)) {
    const char* expected[] = {"an integer bias", "a float32 bias", "no bias"};
    throw Error({ErrorCode::unsupported, "bias", is_real ? "float32" : "integer codes",
                 expected[static_cast<int>(spec.kind)], "the profile's /tensors/bias/kind"});
  }
  if (is_real) return {};

  const auto channels = static_cast<size_t>(bias.codes.numel());
  const sim::IntType type{spec.bits, true};
  int shift = 0;
  if (spec.scale == BiasSpec::Scale::own_power_of_two) {
    require_length(channels, weight_scale);
    const double unit = accumulator_unit(rules, input_scale, weight_scale, 0);
    shift = exponent_of(static_cast<double>(bias.qparams.scale.front())) - exponent_of(unit);
    if (shift < 0 || shift > 31) {
      throw Error({ErrorCode::unsupported, "bias", fmt::format("bias shift {}", shift), "0..31",
                   "the bias scale must not be finer than input_scale * weight_scale"});
    }
  }
  // int32 where every value fits, int64 otherwise: the two forms that sim::Conv2dParams takes.
  std::vector<int64_t> values(channels);
  bool fits = true;
  for (size_t c = 0; c < channels; ++c) {
    const int64_t code = bias.codes.int_at(static_cast<int64_t>(c));
    if (code < type.min() || code > type.max()) {
      throw Error({ErrorCode::unsupported, fmt::format("bias, channel {}", c),
                   fmt::format("code {}", code), fmt::format("{}..{}", type.min(), type.max()),
                   "the profile's /tensors/bias/bits"});
    }
    const int64_t limit = INT64_MAX >> shift;
    if (code > limit || code < -limit) {
      throw Error({ErrorCode::unsupported, fmt::format("bias, channel {}", c),
                   fmt::format("{} * 2^{}", code, shift), "a 64-bit integer", ""});
    }
    values[c] = code * (int64_t{1} << shift);
    fits &= values[c] >= INT32_MIN && values[c] <= INT32_MAX;
  }
  Tensor out(fits ? DType::int32 : DType::int64, Shape{static_cast<int64_t>(channels)});
  for (size_t c = 0; c < channels; ++c) out.set_int(static_cast<int64_t>(c), values[c]);
  return out;
}

}  // namespace facsim::backends
