// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/lower/lower.h"
#include "sim/core/error.h"
#include "sim/overflow/overflow.h"
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

/// A real bias in steps of `unit`. The reciprocal is rounded to float32 twice: of the unit, of 1 /
/// it (PyTorch quant_utils.h QuantizeBias, quantize_per_tensor to qint32).
double steps_of(double bias, double unit, const BiasSpec& spec) {
  if (spec.formula == BiasSpec::Formula::division) return bias / unit;
  const float reciprocal = 1.0f / static_cast<float>(unit);
  return static_cast<double>(static_cast<float>(bias) * reciprocal);
}

/// `steps` rounded and brought into `type` by the bias rule.
int64_t code_of(double steps, const BiasSpec& spec, sim::IntType type, size_t channel) {
  const double code = sim::round_real(spec.rounding, steps);
  if (code >= static_cast<double>(type.min()) && code <= static_cast<double>(type.max()) &&
      code < 0x1p63) {
    return static_cast<int64_t>(code);
  }
  const bool saturates = spec.overflow == sim::Overflow::saturate ||
                         spec.overflow == sim::Overflow::saturate_symmetric;
  if (saturates && std::abs(code) >= 0x1p62) {
    const bool symmetric = spec.overflow == sim::Overflow::saturate_symmetric;
    return code > 0 ? type.max() : symmetric ? -type.max() : type.min();
  }
  if (spec.overflow == sim::Overflow::error || std::abs(code) >= 0x1p62) {
    throw Error({ErrorCode::unsupported, fmt::format("bias, channel {}", channel),
                 fmt::format("{} steps", code), fmt::format("{}..{}", type.min(), type.max()),
                 "the profile's /tensors/bias"});
  }
  bool changed = false;
  return static_cast<int64_t>(
      sim::bring_into(spec.overflow, sim::int128{static_cast<int64_t>(code)}, type, changed));
}

/// The bias in accumulator units: int32 where every value fits, int64 otherwise, the two forms that
/// sim::Conv2dParams takes.
Tensor accumulator_tensor(const std::vector<int64_t>& values) {
  const bool fits = std::all_of(values.begin(), values.end(),
                                [](int64_t v) { return v >= INT32_MIN && v <= INT32_MAX; });
  const auto size = static_cast<int64_t>(values.size());
  Tensor out(fits ? DType::int32 : DType::int64, Shape{size});
  for (int64_t c = 0; c < size; ++c) out.set_int(c, values[static_cast<size_t>(c)]);
  return out;
}

/// Real biases in steps of s_in * s_w[c], in `type`: what a platform does when it loads a layer
/// whose bias is float32 (PyTorch QNNPACK) or has a scale of its own.
Tensor rounded_bias(const OpRules& rules, sim::IntType type, std::span<const double> real,
                    float input_scale, std::span<const float> weight_scale) {
  require_length(real.size(), weight_scale);
  std::vector<int64_t> values(real.size());
  for (size_t c = 0; c < real.size(); ++c) {
    const double unit = accumulator_unit(rules, input_scale, weight_scale, c);
    values[c] = code_of(steps_of(real[c], unit, rules.bias), rules.bias, type, c);
  }
  return accumulator_tensor(values);
}

/// The real values of stored codes.
std::vector<double> real_bias(const LayerBias& bias) {
  std::vector<double> real(static_cast<size_t>(bias.codes.numel()));
  if (bias.codes.dtype() == DType::float32) {
    const auto values = bias.codes.values<float>();
    real.assign(values.begin(), values.end());
    return real;
  }
  const std::vector<float>& scale = bias.qparams.scale;
  for (size_t c = 0; c < real.size(); ++c) {
    real[c] = static_cast<double>(bias.codes.int_at(static_cast<int64_t>(c))) *
              static_cast<double>(scale[scale.size() == 1 ? 0 : c]);
  }
  return real;
}

/// The scale of an integer bias with one of its own: the range of its codes holds every value.
double own_scale(std::span<const double> bias, sim::IntType type) {
  double largest = 0;
  for (const double b : bias) largest = std::max(largest, std::abs(b));
  return largest == 0
             ? 1.0
             : static_cast<double>(static_cast<float>(largest / static_cast<double>(type.max())));
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
  const bool own = spec.scale != BiasSpec::Scale::input_times_weight;
  const size_t scales = own ? 1 : weight_scale.size();
  std::vector<double> unit(scales);
  for (size_t c = 0; c < scales; ++c)
    unit[c] = accumulator_unit(rules, input_scale, weight_scale, c);
  if (spec.scale == BiasSpec::Scale::own_power_of_two) {
    unit[0] = std::ldexp(1.0, own_exponent(bias, unit[0], type));
  } else if (own) {
    unit[0] = own_scale(bias, type);
  }
  out.qparams.channel_axis = scales > 1 ? 0 : -1;
  out.qparams.scale.assign(unit.begin(), unit.end());
  out.qparams.zero_point.assign(scales, 0);

  out.codes = Tensor(type.storage(), shape);
  for (size_t c = 0; c < bias.size(); ++c) {
    out.codes.set_int(static_cast<int64_t>(c),
                      code_of(steps_of(bias[c], unit[scales == 1 ? 0 : c], spec), spec, type, c));
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
  if (is_real && !spec.float_as_integer) return {};
  if (is_real) {
    return rounded_bias(rules, {spec.bits, true}, real_bias(bias), input_scale, weight_scale);
  }
  if (spec.scale == BiasSpec::Scale::own) {
    const size_t scales = bias.qparams.scale.size();
    if (scales != 1 && scales != static_cast<size_t>(bias.codes.numel())) {
      throw Error({ErrorCode::shape_mismatch, "bias", fmt::format("{} scales", scales),
                   fmt::format("1 or {}", bias.codes.numel()), ""});
    }
    return rounded_bias(rules, rules.accumulator.type(), real_bias(bias), input_scale,
                        weight_scale);
  }

  for (const int64_t zero_point : bias.qparams.zero_point) {
    if (zero_point != 0) {
      throw Error({ErrorCode::unsupported, "bias", fmt::format("zero point {}", zero_point), "0",
                   "the bias is added to the accumulator as it is"});
    }
  }
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
  std::vector<int64_t> values(channels);
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
  }
  return accumulator_tensor(values);
}

}  // namespace facsim::backends
