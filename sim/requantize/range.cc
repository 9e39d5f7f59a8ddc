// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/range.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "sim/core/float_mode.h"
#include "sim/overflow/overflow.h"
#include "sim/requantize/float32.h"
#include "sim/rounding/rounding.h"

namespace facsim::sim {
namespace {

int bit_length(int128 v) {
  const auto magnitude = static_cast<uint128>(v < 0 ? -(v + 1) : v);
  const auto high = static_cast<uint64_t>(magnitude >> 64);
  return high != 0 ? 64 + std::bit_width(high) : std::bit_width(static_cast<uint64_t>(magnitude));
}

ValueRange unbounded_integers() {
  ValueRange v;
  v.bounded = false;
  return v;
}

ValueRange hull(ValueRange a, const ValueRange& b) {
  a.bounded = a.bounded && b.bounded;
  a.may_throw = a.may_throw || b.may_throw;
  a.min = std::min(a.min, b.min);
  a.max = std::max(a.max, b.max);
  a.real_min = std::min(a.real_min, b.real_min);
  a.real_max = std::max(a.real_max, b.real_max);
  return a;
}

ValueRange integers_between(std::initializer_list<int128> values) {
  const auto [min, max] = std::minmax(values);
  if (min <= -kNormLimit || max >= kNormLimit) return unbounded_integers();
  return ValueRange::integers(min, max);
}

ValueRange reals_between(std::initializer_list<float> values) {
  if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
    return ValueRange::any_real();
  }
  const auto [min, max] = std::minmax(values);
  return ValueRange::reals(min, max);
}

ValueRange resized(const BoundStep& step, const ValueRange& v) {
  if (leaves_unchanged(step, 0, v)) return v;
  if (v.bounded &&
      (step.overflow == Overflow::saturate || step.overflow == Overflow::saturate_symmetric)) {
    bool changed = false;
    return ValueRange::integers(bring_into(step.overflow, v.min, step.type, changed),
                                bring_into(step.overflow, v.max, step.type, changed));
  }
  ValueRange inside = ValueRange::integers(step.type.min(), step.type.max());
  inside.may_throw = step.overflow == Overflow::error;
  return inside;
}

/// What is refused for some value; what passes is an int64.
ValueRange any_integer_or_refused() {
  ValueRange v = ValueRange::integers(INT64_MIN, INT64_MAX);
  v.may_throw = true;
  return v;
}

ValueRange integer_step(const BoundStep& step, int64_t channel, const ValueRange& v) {
  const int128 a = step.a.values().empty() ? 0 : step.a[channel];
  if (step.kind == StepKind::resize) return resized(step, v);
  if (step.kind == StepKind::clamp) {
    const int128 b = step.b[channel];
    if (!v.bounded) return ValueRange::integers(std::min(a, b), b);
    return ValueRange::integers(std::min(std::max(v.min, a), b), std::min(std::max(v.max, a), b));
  }
  if (!v.bounded) {
    return step.kind == StepKind::to_f64 ? ValueRange::any_real() : unbounded_integers();
  }
  const int bits = std::max(bit_length(v.min), bit_length(v.max));
  switch (step.kind) {
    case StepKind::shl:
      if (bits + a > 125) return unbounded_integers();
      return integers_between({v.min << a, v.max << a});
    case StepKind::mul:
      if (bits + bit_length(a) > 125) return unbounded_integers();
      return integers_between({v.min * a, v.max * a});
    case StepKind::shr:
      return ValueRange::integers(round_shift(step.rounding, v.min, static_cast<int>(a)),
                                  round_shift(step.rounding, v.max, static_cast<int>(a)));
    case StepKind::div:
      if (a < 1) return any_integer_or_refused();
      return ValueRange::integers(round_divide(step.rounding, v.min, a),
                                  round_divide(step.rounding, v.max, a));
    case StepKind::add:
      return integers_between({v.min + a, v.max + a});
    case StepKind::sub:
      return integers_between({v.min - a, v.max - a});
    case StepKind::to_f64:  // float32 bounds do not hold it
      return ValueRange::any_real();
    default:  // to_f32
      return ValueRange::reals(to_float32(v.min), to_float32(v.max));
  }
}

/// Bounds are float32: of float64 values only those of a clamp are known.
bool keeps_float64_bounds(StepKind kind) {
  return !takes_real(kind) || kind == StepKind::fclamp || kind == StepKind::round;
}

/// round(bound + addend) of a float32, or where the addend makes them differ of a float64, the
/// outer of the two.
double rounded_bound(Rounding rounding, float bound, float addend) {
  const auto narrow = static_cast<double>(round_real(rounding, bound + addend));
  if (addend == 0) return narrow;
  const double wide =
      round_real(rounding, static_cast<double>(bound) + static_cast<double>(addend));
  return addend < 0 ? std::min(narrow, wide) : std::max(narrow, wide);
}

ValueRange real_step(const BoundStep& step, int64_t channel, const ValueRange& v) {
  const float a = step.real_a.values().empty() ? 0 : step.real_a[channel];
  if (step.kind == StepKind::fclamp) {
    const float b = step.real_b[channel];
    if (!v.bounded) return reals_between({a, b});
    return reals_between(
        {std::min(std::max(v.real_min, a), b), std::min(std::max(v.real_max, a), b)});
  }
  if (!v.bounded) {
    return step.kind == StepKind::round ? any_integer_or_refused() : ValueRange::any_real();
  }
  switch (step.kind) {
    case StepKind::fadd:
      return reals_between({v.real_min + a, v.real_max + a});
    case StepKind::fsub:
      return reals_between({v.real_min - a, v.real_max - a});
    case StepKind::fmul: {
      if (step.real_b.values().empty()) return reals_between({v.real_min * a, v.real_max * a});
      const float b = step.real_b[channel];
      return reals_between({std::fma(v.real_min, a, b), std::fma(v.real_max, a, b)});
    }
    case StepKind::fdiv:
      return a == 0 ? ValueRange::any_real() : reals_between({v.real_min / a, v.real_max / a});
    default: {  // round
      constexpr double kLimit = 9223372036854775808.0;
      const double min = rounded_bound(step.rounding, v.real_min, v.real_min > 0 ? a : -a);
      const double max = rounded_bound(step.rounding, v.real_max, v.real_max < 0 ? -a : a);
      if (min < -kLimit || max >= kLimit) return any_integer_or_refused();
      return ValueRange::integers(static_cast<int64_t>(min), static_cast<int64_t>(max));
    }
  }
}

/// Rows of arguments often repeat: equal operands give the range that the channel before gave.
bool has_operands_of_channel_before(std::span<const BoundStep> steps, int64_t channel) {
  const auto repeats = [&](const auto& operand) {
    return operand.values().size() <= 1 ||
           std::memcmp(&operand.values()[static_cast<size_t>(channel)],
                       &operand.values()[static_cast<size_t>(channel - 1)],
                       sizeof(operand.values()[0])) == 0;
  };
  return std::all_of(steps.begin(), steps.end(), [&](const BoundStep& step) {
    return repeats(step.a) && repeats(step.b) && repeats(step.real_a) && repeats(step.real_b);
  });
}

}  // namespace

ValueRange ValueRange::integers(int128 min, int128 max) {
  ValueRange v;
  v.min = min;
  v.max = max;
  return v;
}

ValueRange ValueRange::reals(float min, float max) {
  ValueRange v;
  v.is_real = true;
  v.real_min = min;
  v.real_max = max;
  return v;
}

ValueRange ValueRange::any_real() {
  ValueRange v;
  v.is_real = true;
  v.bounded = false;
  return v;
}

std::vector<ValueRange> infer_ranges(std::span<const BoundStep> steps, int64_t channels,
                                     ValueRange input) {
  const FloatMode mode;
  std::vector<ValueRange> ranges(steps.size());
  for (int64_t channel = 0; channel < channels; ++channel) {
    if (channel > 0 && has_operands_of_channel_before(steps, channel)) continue;
    ValueRange v = input;
    bool is_float64 = false;
    for (size_t i = 0; i < steps.size(); ++i) {
      const bool may_throw = v.may_throw;
      if (!takes_real(steps[i].kind)) is_float64 = steps[i].kind == StepKind::to_f64;
      v = takes_real(steps[i].kind) ? real_step(steps[i], channel, v)
                                    : integer_step(steps[i], channel, v);
      if (is_float64 && !keeps_float64_bounds(steps[i].kind)) v = ValueRange::any_real();
      v.may_throw = v.may_throw || may_throw;
      ranges[i] = channel == 0 ? v : hull(ranges[i], v);
    }
  }
  return ranges;
}

bool leaves_unchanged(const BoundStep& step, int64_t channel, const ValueRange& range) {
  const auto holds = [&](int128 min, int128 max) {
    return !range.is_real && range.bounded && range.min >= min && range.max <= max;
  };
  if (step.kind == StepKind::clamp) return holds(step.a[channel], step.b[channel]);
  if (step.kind != StepKind::resize) return false;
  const int128 min = step.type.min(), max = step.type.max();
  return holds(step.overflow == Overflow::saturate_symmetric ? std::max(min, -max) : min, max);
}

}  // namespace facsim::sim
