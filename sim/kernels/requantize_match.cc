// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "sim/kernels/requantize_fused-internal.h"

namespace facsim::sim {
namespace {

using Form = FusedProgram::Form;
using FloatShape = FusedProgram::FloatShape;

/// Half of 2^n; n 1..62.
int64_t half_of(int64_t n) { return int64_t{1} << (n - 1); }

bool value_fits_int32(int64_t v) { return v >= INT32_MIN && v <= INT32_MAX; }
bool value_fits_int32(const ValueRange& v) {
  return v.bounded && v.min >= INT32_MIN && v.max <= INT32_MAX;
}

template <class T, class Predicate>
bool all(const PerChannel<T>& operand, Predicate&& predicate) {
  return std::all_of(operand.values().begin(), operand.values().end(), predicate);
}

/// Reads the steps of a program that change something from front to back. Each `take_…` steps past
/// what it recognizes, or leaves everything as it is and returns false.
class Matcher {
 public:
  Matcher(const Requantizer& requantizer, const ValueRange& input,
          const std::vector<ValueRange>& ranges)
      : requantizer_(requantizer), input_(input) {
    for (size_t i = 0; i < ranges.size(); ++i) {
      const BoundStep& step = requantizer.bound_steps()[i];
      if (changes_nothing(step, i == 0 ? input : ranges[i - 1])) continue;
      steps_.push_back(&step);
      ranges_.push_back(ranges[i]);
    }
  }

  std::optional<FusedProgram> match() {
    program_.output = requantizer_.output_type().storage();
    if (size_of(program_.output) > 2 || program_.output == DType::uint16) return std::nullopt;
    program_.operand_mask = requantizer_.channels() == 1 ? 0 : -1;
    for (const auto form : {&Matcher::fixed_double, &Matcher::fixed_single,
                            &Matcher::rounding_shift, &Matcher::float_scale}) {
      at_ = 0;
      if (!(this->*form)() || at_ != steps_.size()) continue;
      program_.uniform_end = has_uniform_end();
      return program_;
    }
    return std::nullopt;
  }

 private:
  const BoundStep* peek(StepKind kind) const {
    return at_ < steps_.size() && steps_[at_]->kind == kind ? steps_[at_] : nullptr;
  }
  const BoundStep* take(StepKind kind) {
    const BoundStep* step = peek(kind);
    if (step != nullptr) ++at_;
    return step;
  }
  /// The range after the step taken last.
  const ValueRange& range() const { return at_ == 0 ? input_ : ranges_[at_ - 1]; }

  template <class To, class T, class Convert>
  ExpandedOperand<To> expanded(const PerChannel<T>& operand, Convert&& convert) const {
    return expand<To>(operand, requantizer_.channels(), convert);
  }
  ExpandedOperand<int32_t> int32s(const PerChannel<int64_t>& operand, int64_t offset = 0) const {
    return expanded<int32_t>(operand,
                             [offset](int64_t v) { return static_cast<int32_t>(v + offset); });
  }
  ExpandedOperand<float> reals(const PerChannel<float>& operand) const {
    return expanded<float>(operand, std::identity());
  }

  /// Left shifts of at most 31, if there are any.
  std::optional<PerChannel<int64_t>> take_left_shift() {
    if (peek(StepKind::shl) == nullptr) return PerChannel<int64_t>({0});
    const BoundStep* shl = take(StepKind::shl);
    if (!all(shl->a, [](int64_t n) { return n <= 31; })) return std::nullopt;
    return shl->a;
  }

  /// Past a resize to int32 that wraps, which keeping 32 bits performs: true if the value then
  /// fits.
  bool fits_after_wrap32() {
    const BoundStep* resize = peek(StepKind::resize);
    if (resize != nullptr && resize->type == kInt32 && resize->overflow == Overflow::wrap) ++at_;
    return value_fits_int32(range());
  }

  bool take_multiplier() {
    const BoundStep* mul = take(StepKind::mul);
    // INT32_MIN is the one multiplier whose doubled high product may need saturation.
    if (mul == nullptr || !all(mul->a, [](int64_t m) { return m > INT32_MIN && m <= INT32_MAX; })) {
      return false;
    }
    program_.multiplier = int32s(mul->a);
    return true;
  }

  /// add zero_point, resize to the output saturating, [clamp]: one sum and one clamp, provided the
  /// sum fits int32.
  bool take_output() {
    const BoundStep* add = take(StepKind::add);
    if (add == nullptr || !value_fits_int32(range()) ||
        !all(add->a, [](int64_t v) { return value_fits_int32(v); })) {
      return false;
    }
    program_.zero_point = int32s(add->a);
    const BoundStep* resize = take(StepKind::resize);
    const IntType type = requantizer_.output_type();
    if (resize != nullptr ? resize->overflow != Overflow::saturate || resize->type != type
                          : range().min < type.min() || range().max > type.max()) {
      return false;
    }
    PerChannel<int64_t> low({type.min()}), high({type.max()});
    if (const BoundStep* clamp = take(StepKind::clamp)) {
      low = clamp->a;
      high = clamp->b;
    }
    // Saturating first changes nothing to min(max(v, low), high) when both bounds are in the type.
    const auto inside = [&](int64_t v) { return v >= type.min() && v <= type.max(); };
    if (!all(low, inside) || !all(high, inside)) return false;
    program_.clamp_min = int32s(low);
    program_.clamp_max = int32s(high);
    return true;
  }

  bool fixed_double() {
    program_.form = Form::fixed_double;
    const std::optional<PerChannel<int64_t>> left_shift = take_left_shift();
    if (!left_shift || !fits_after_wrap32()) return false;
    const ValueRange shifted = range();
    const BoundStep* mul = peek(StepKind::mul);
    if (!take_multiplier()) return false;
    const BoundStep* high = take(StepKind::shr);
    if (high == nullptr || high->rounding != Rounding::half_up ||
        !all(high->a, [](int64_t n) { return n == 31; })) {
      return false;
    }
    const ValueRange doubled = range();
    if (!fits_after_wrap32()) return false;
    const BoundStep* shr = take(StepKind::shr);
    if (shr == nullptr || shr->rounding != Rounding::half_away_from_zero ||
        !all(shr->a, [](int64_t n) { return n <= 31; })) {
      return false;
    }
    if (!value_fits_int32(doubled)) return false;
    program_.shift = int32s(shr->a);
    constexpr int64_t kMost = int64_t{1} << 30;
    program_.high_half = shifted.min >= -kMost && shifted.max < kMost &&
                         all(mul->a, [](int64_t m) { return m >= 0; }) &&
                         all(shr->a, [](int64_t n) { return n >= 1; });
    program_.shifts_left = !all(*left_shift, [](int64_t n) { return n == 0; });
    program_.left_shift = int32s(*left_shift, program_.high_half ? 1 : 0);
    if (program_.high_half) {
      program_.nudge_high =
          expanded<int32_t>(shr->a, [](int64_t n) { return static_cast<int32_t>(half_of(n)); });
      program_.nudge_low = int32s(PerChannel<int64_t>({INT32_MIN}));
    }
    return take_output();
  }

  bool fixed_single() {
    program_.form = Form::fixed_single;
    if (!take_multiplier()) return false;
    const BoundStep* shr = take(StepKind::shr);
    if (shr == nullptr) return false;
    const bool floor = shr->rounding == Rounding::floor;
    int64_t dropped = 0;  // bits, before the rounding shift
    if (const BoundStep* next = peek(StepKind::shr);
        next != nullptr && floor && all(shr->a, [](int64_t n) { return n == 32; })) {
      dropped = 32;
      shr = take(StepKind::shr);
    }
    const bool half_up = shr->rounding == Rounding::half_up;
    program_.high_half =
        all(shr->a, [=](int64_t n) { return n >= 1 && n + dropped >= 32 && n + dropped <= 62; });
    if (program_.high_half && (half_up || (floor && dropped == 0))) {
      const auto nudge = [=](int64_t n) { return half_up ? half_of(n) << dropped : 0; };
      program_.shift = int32s(shr->a, dropped - 32);
      program_.nudge_high = expanded<int32_t>(
          shr->a, [=](int64_t n) { return static_cast<int32_t>(nudge(n) >> 32); });
      program_.nudge_low =
          expanded<int32_t>(shr->a, [=](int64_t n) { return static_cast<int32_t>(nudge(n)); });
    } else if (half_up && dropped == 0 && all(shr->a, [](int64_t n) { return n >= 1; })) {
      program_.high_half = false;
      program_.shift = int32s(shr->a, -1);
    } else {
      return false;
    }
    return fits_after_wrap32() && take_output();
  }

  bool rounding_shift() {
    program_.form = Form::rounding_shift;
    const std::optional<PerChannel<int64_t>> left_shift = take_left_shift();
    if (!left_shift || !value_fits_int32(range())) return false;
    const ValueRange shifted = range();
    program_.left_shift = int32s(*left_shift);
    program_.shifts_left = !all(*left_shift, [](int64_t n) { return n == 0; });
    const BoundStep* shr = take(StepKind::shr);
    if (shr == nullptr || !all(shr->a, [](int64_t n) { return n <= 31; })) return false;
    program_.rounding = shr->rounding;
    program_.shift = int32s(shr->a);
    const bool floor = shr->rounding == Rounding::floor;
    const bool even = shr->rounding == Rounding::half_even;
    const auto half = [](int64_t n) { return n == 0 ? 0 : half_of(n); };
    program_.nudged =
        floor || ((even || shr->rounding == Rounding::half_up) &&
                  all(shr->a, [&](int64_t n) { return shifted.max + half(n) <= INT32_MAX; }));
    program_.nudge_low = expanded<int32_t>(shr->a, [=](int64_t n) {
      return static_cast<int32_t>(floor || n == 0 ? 0 : half(n) - (even ? 1 : 0));
    });
    program_.odd_mask = expanded<int32_t>(shr->a, [](int64_t n) { return n == 0 ? 0 : 1; });
    return take_output();
  }

  /// True if there was an addition that changes a value. Adding -0 changes nothing, and +0 only the
  /// sign of a zero, which no rounding to an integer sees.
  bool take_addition(ExpandedOperand<float>& operand) {
    const BoundStep* add = take(StepKind::fadd);
    const bool none = add == nullptr || all(add->real_a, [](float v) { return v == 0; });
    operand = reals(none ? PerChannel<float>({-0.0F}) : add->real_a);
    return !none;
  }

  /// fclamp before the rounding is a clamp of codes after it where the bounds are integers, since
  /// rounding keeps order and integers; `scaled` is the range before the fclamp.
  bool clamp_of_codes(const BoundStep& clamp, const PerChannel<int64_t>& zero_point,
                      const ValueRange& scaled) {
    constexpr float kMost = 0x1p30F;
    if (scaled.real_min < -kMost || scaled.real_max > kMost) return false;
    const IntType type = requantizer_.output_type();
    std::vector<int64_t> low, high;
    for (int64_t c = 0; c < requantizer_.channels(); ++c) {
      for (const float bound : {clamp.real_a[c], clamp.real_b[c]}) {
        const auto code = static_cast<int64_t>(bound) + zero_point[c];
        if (bound != std::trunc(bound) || code < type.min() || code > type.max()) return false;
      }
      low.push_back(static_cast<int64_t>(clamp.real_a[c]) + zero_point[c]);
      high.push_back(static_cast<int64_t>(clamp.real_b[c]) + zero_point[c]);
    }
    program_.clamp_min = int32s(PerChannel<int64_t>(std::move(low)));
    program_.clamp_max = int32s(PerChannel<int64_t>(std::move(high)));
    return true;
  }

  /// The bounds of an fclamp, or the infinities.
  void take_middle_clamp() {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const BoundStep* clamp = nullptr;
    if (at_ + 1 < steps_.size() &&
        (steps_[at_ + 1]->kind == StepKind::fmul || steps_[at_ + 1]->kind == StepKind::fdiv)) {
      clamp = take(StepKind::fclamp);
    }
    program_.middle_min = reals(clamp == nullptr ? PerChannel<float>({-kInfinity}) : clamp->real_a);
    program_.middle_max = reals(clamp == nullptr ? PerChannel<float>({kInfinity}) : clamp->real_b);
  }

  /// True if there was a multiplication, without an addition in it.
  bool take_scale(ExpandedOperand<float>& operand) {
    const BoundStep* scale = peek(StepKind::fmul);
    const bool plain = scale != nullptr && scale->real_b.values().empty();
    operand = reals(plain ? scale->real_a : PerChannel<float>({1.0F}));
    if (plain) ++at_;
    return plain;
  }

  bool float_scale() {
    if (take(StepKind::to_f32) == nullptr) return false;
    const bool before = take_addition(program_.bias_before);
    take_scale(program_.scale);
    const bool after = take_addition(program_.bias_after);
    take_middle_clamp();
    bool second = take_scale(program_.second_scale);
    const BoundStep* divide = second ? nullptr : take(StepKind::fdiv);
    if (divide != nullptr) program_.second_scale = reals(divide->real_a);
    second = second || divide != nullptr;
    // Without a second scale the only additions left are those behind the first.
    const bool last = second && take_addition(program_.bias_last);
    const bool end = take_addition(program_.bias_end);
    if (!last) program_.bias_last = reals(PerChannel<float>({-0.0F}));
    const ValueRange scaled = range();
    if (!scaled.bounded) return false;
    const BoundStep* clamp = take(StepKind::fclamp);
    constexpr float kLargestBound = 0x1p22F;
    const auto small = [](auto v) { return v >= -kLargestBound && v <= kLargestBound; };
    if (clamp == nullptr || !all(clamp->real_a, small) || !all(clamp->real_b, small)) return false;
    const BoundStep* round = take(StepKind::round);
    if (round == nullptr || !round->real_a.values().empty()) return false;
    if (round->rounding != Rounding::half_even &&
        round->rounding != Rounding::half_away_from_zero) {
      return false;
    }
    program_.form =
        round->rounding == Rounding::half_even ? Form::float_half_even : Form::float_half_away;
    PerChannel<int64_t> zero_point({0});
    if (const BoundStep* add = take(StepKind::add)) {
      if (!all(add->a, small)) return false;
      zero_point = add->a;
    }
    program_.zero_point = int32s(zero_point);
    if (!second && clamp_of_codes(*clamp, zero_point, scaled)) {
      program_.shape = end               ? FloatShape::bias_scale_biases
                       : before && after ? FloatShape::bias_scale_bias
                       : before          ? FloatShape::bias_scale
                       : after           ? FloatShape::scale_bias
                                         : FloatShape::scale;
    } else {
      program_.shape =
          divide != nullptr ? FloatShape::scale_clamp_divide : FloatShape::scale_clamp_scale;
      program_.real_min = reals(clamp->real_a);
      program_.real_max = reals(clamp->real_b);
      program_.clamp_min = int32s(PerChannel<int64_t>({requantizer_.output_type().min()}));
      program_.clamp_max = int32s(PerChannel<int64_t>({requantizer_.output_type().max()}));
    }
    // The fclamp is the only clamp: whatever follows must be proved to change nothing.
    const IntType type = requantizer_.output_type();
    const ValueRange& rounded = range();
    if (!rounded.bounded || rounded.min < type.min() || rounded.max > type.max()) return false;
    if (const BoundStep* resize = take(StepKind::resize)) {
      return resize->overflow != Overflow::saturate_symmetric &&
             rounded.min >= resize->type.min() && rounded.max <= resize->type.max();
    }
    return true;
  }

  /// See FusedProgram::uniform_end.
  bool has_uniform_end() const {
    const auto uniform = [](const ExpandedOperand<int32_t>& operand) {
      return std::all_of(operand.begin(), operand.end(),
                         [&](int32_t v) { return v == operand[0]; });
    };
    constexpr int32_t kMost = 1 << 14;
    const int32_t zero_point = program_.zero_point[0];
    return size_of(program_.output) == 1 && zero_point >= -kMost && zero_point <= kMost &&
           program_.clamp_min[0] <= program_.clamp_max[0] && uniform(program_.zero_point) &&
           uniform(program_.clamp_min) && uniform(program_.clamp_max);
  }

  const Requantizer& requantizer_;
  std::vector<const BoundStep*> steps_;
  const ValueRange& input_;
  std::vector<ValueRange> ranges_;
  size_t at_ = 0;
  FusedProgram program_;
};

}  // namespace

std::string_view to_string(FusedProgram::Form form) {
  switch (form) {
    case Form::fixed_double:
      return "fixed_double";
    case Form::fixed_single:
      return "fixed_single";
    case Form::rounding_shift:
      return "rounding_shift";
    case Form::float_half_even:
      return "float_half_even";
    case Form::float_half_away:
      return "float_half_away";
  }
  return "?";
}

std::optional<FusedProgram> match_fused(const Requantizer& requantizer, const ValueRange& input,
                                        const std::vector<ValueRange>& ranges) {
  if (!value_fits_int32(input)) return std::nullopt;
  return Matcher(requantizer, input, ranges).match();
}

FusedKernel requantize_fused(const FusedProgram& program, size_t dispatch_index) {
  switch (program.form) {
    case Form::fixed_double:
      return requantize_fixed_double(program, dispatch_index);
    case Form::fixed_single:
      return requantize_fixed_single(program, dispatch_index);
    case Form::rounding_shift:
      return requantize_rounding_shift(program, dispatch_index);
    case Form::float_half_even:
    case Form::float_half_away:
      return requantize_float(program, dispatch_index);
  }
  return nullptr;
}

}  // namespace facsim::sim
