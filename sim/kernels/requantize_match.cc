// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <functional>

#include "sim/kernels/requantize_fused-internal.h"

namespace facsim::sim {
namespace {

using Form = FusedProgram::Form;
using FloatShape = FusedProgram::FloatShape;

bool value_fits_int32(int64_t v) { return v >= INT32_MIN && v <= INT32_MAX; }
bool value_fits_int32(const ValueRange& v) {
  return v.bounded && v.min >= INT32_MIN && v.max <= INT32_MAX;
}

template <class T, class Predicate>
bool all(const PerChannel<T>& operand, Predicate&& predicate) {
  return std::all_of(operand.values().begin(), operand.values().end(), predicate);
}

/// Reads the steps of a program from front to back. Each `take_…` steps past what it recognizes, or
/// leaves everything as it is and returns false.
class Matcher {
 public:
  Matcher(const Requantizer& requantizer, const std::vector<ValueRange>& ranges)
      : requantizer_(requantizer), steps_(requantizer.bound_steps()), ranges_(ranges) {}

  std::optional<FusedProgram> match() {
    program_.output = requantizer_.output_type().storage();
    if (size_of(program_.output) > 2 || program_.output == DType::uint16) return std::nullopt;
    for (const auto form : {&Matcher::fixed_double, &Matcher::fixed_single,
                            &Matcher::rounding_shift, &Matcher::float_half_even}) {
      at_ = 0;
      program_.left_shift.clear();
      if ((this->*form)() && at_ == steps_.size()) return program_;
    }
    return std::nullopt;
  }

 private:
  const BoundStep* peek(StepKind kind) const {
    return at_ < steps_.size() && steps_[at_].kind == kind ? &steps_[at_] : nullptr;
  }
  const BoundStep* take(StepKind kind) {
    const BoundStep* step = peek(kind);
    if (step != nullptr) ++at_;
    return step;
  }
  /// The range after the step taken last.
  const ValueRange& range() const { return ranges_[at_ - 1]; }

  template <class To, class T, class Convert>
  ExpandedOperand<To> expanded(const PerChannel<T>& operand, Convert&& convert) const {
    return expand<To>(operand, requantizer_.channels(), convert);
  }
  ExpandedOperand<int32_t> int32s(const PerChannel<int64_t>& operand) const {
    return expanded<int32_t>(operand, [](int64_t v) { return static_cast<int32_t>(v); });
  }
  ExpandedOperand<float> reals(const PerChannel<float>& operand) const {
    return expanded<float>(operand, std::identity());
  }

  bool take_left_shift() {
    const BoundStep* shl = take(StepKind::shl);
    if (shl == nullptr || !all(shl->a, [](int64_t n) { return n <= 31; })) return false;
    program_.left_shift = int32s(shl->a);
    return true;
  }

  /// A resize that the kernel performs by keeping 32 bits, or that changes nothing.
  bool take_resize32() {
    const ValueRange before = range();
    const BoundStep* resize = take(StepKind::resize);
    if (resize == nullptr || resize->type != kInt32) return false;
    return resize->overflow == Overflow::wrap ||
           (resize->overflow == Overflow::saturate && value_fits_int32(before));
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

  /// add zero_point, [resize int32 wrap], resize to the output saturating, [clamp]: one sum and one
  /// clamp, provided the sum fits int32.
  bool take_output() {
    const BoundStep* add = take(StepKind::add);
    if (add == nullptr || !value_fits_int32(range()) ||
        !all(add->a, [](int64_t v) { return value_fits_int32(v); })) {
      return false;
    }
    program_.zero_point = int32s(add->a);
    const BoundStep* resize = take(StepKind::resize);
    if (resize != nullptr && resize->type == kInt32 && resize->overflow == Overflow::wrap) {
      resize = take(StepKind::resize);  // the first changes nothing
    }
    const IntType type = requantizer_.output_type();
    if (resize == nullptr || resize->overflow != Overflow::saturate || resize->type != type) {
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
    if (peek(StepKind::shl) != nullptr && !(take_left_shift() && take_resize32())) return false;
    if (!take_multiplier()) return false;
    const BoundStep* high = take(StepKind::shr);
    if (high == nullptr || high->rounding != Rounding::half_up ||
        !all(high->a, [](int64_t n) { return n == 31; })) {
      return false;
    }
    const ValueRange doubled = range();
    if (const BoundStep* resize = peek(StepKind::resize); resize != nullptr) {
      if (!take_resize32()) return false;
    }
    const BoundStep* shr = take(StepKind::shr);
    if (shr == nullptr || shr->rounding != Rounding::half_away_from_zero ||
        !all(shr->a, [](int64_t n) { return n <= 31; })) {
      return false;
    }
    program_.shift = int32s(shr->a);
    const auto half = [](int64_t n) { return int64_t{1} << (n - 1); };
    const bool in_range = all(shr->a, [&](int64_t n) {
      return n >= 1 && doubled.max + half(n) <= INT32_MAX && doubled.min >= INT32_MIN;
    });
    program_.half.clear();
    if (in_range) {
      program_.half =
          expanded<int32_t>(shr->a, [&](int64_t n) { return static_cast<int32_t>(half(n)); });
    }
    return value_fits_int32(doubled) && take_output();
  }

  bool fixed_single() {
    program_.form = Form::fixed_single;
    if (!take_multiplier()) return false;
    const BoundStep* shr = take(StepKind::shr);
    if (shr == nullptr || shr->rounding != Rounding::half_up ||
        !all(shr->a, [](int64_t n) { return n >= 1; })) {
      return false;
    }
    program_.shift =
        expanded<int32_t>(shr->a, [](int64_t n) { return static_cast<int32_t>(n - 1); });
    if (peek(StepKind::resize) != nullptr) return take_resize32() && take_output();
    return value_fits_int32(range()) && take_output();
  }

  bool rounding_shift() {
    program_.form = Form::rounding_shift;
    if (peek(StepKind::shl) == nullptr) {
      program_.left_shift = int32s(PerChannel<int64_t>({0}));
    } else if (!take_left_shift() || !value_fits_int32(range())) {
      return false;
    }
    const BoundStep* shr = take(StepKind::shr);
    if (shr == nullptr || !all(shr->a, [](int64_t n) { return n <= 31; })) return false;
    program_.rounding = shr->rounding;
    program_.shift = int32s(shr->a);
    return take_output();
  }

  bool take_addition(ExpandedOperand<float>& operand) {
    const BoundStep* add = take(StepKind::fadd);
    if (add == nullptr) return false;
    operand = reals(add->real_a);
    return true;
  }

  bool float_half_even() {
    program_.form = Form::float_half_even;
    if (take(StepKind::to_f32) == nullptr) return false;
    const bool before = take_addition(program_.bias_before);
    const bool divides = peek(StepKind::fdiv) != nullptr;
    const BoundStep* scale = take(divides ? StepKind::fdiv : StepKind::fmul);
    if (scale == nullptr || !scale->real_b.values().empty()) return false;
    program_.scale = reals(scale->real_a);
    const bool after = take_addition(program_.bias_after);
    const bool last = after && take_addition(program_.bias_last);
    if (divides ? before || after : before && last) return false;
    program_.shape = divides           ? FloatShape::divide
                     : before && after ? FloatShape::bias_scale_bias
                     : before          ? FloatShape::bias_scale
                     : last            ? FloatShape::scale_bias_bias
                     : after           ? FloatShape::scale_bias
                                       : FloatShape::scale;
    if (!range().bounded) return false;
    const BoundStep* clamp = take(StepKind::fclamp);
    const auto small = [](float v) {
      return v >= -kRoundingMagicLimit && v <= kRoundingMagicLimit;
    };
    if (clamp == nullptr || !all(clamp->real_a, small) || !all(clamp->real_b, small)) return false;
    program_.real_min = reals(clamp->real_a);
    program_.real_max = reals(clamp->real_b);
    const BoundStep* round = take(StepKind::round);
    if (round == nullptr || round->rounding != Rounding::half_even ||
        !round->real_a.values().empty()) {
      return false;
    }
    PerChannel<int64_t> zero_point({0});
    if (const BoundStep* add = take(StepKind::add)) {
      if (!all(add->a, small)) return false;
      zero_point = add->a;
    }
    program_.zero_point_minus_magic = expanded<int32_t>(zero_point, [](int64_t z) {
      return static_cast<int32_t>(z - std::bit_cast<int32_t>(kRoundingMagic));
    });
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

  const Requantizer& requantizer_;
  const std::vector<BoundStep>& steps_;
  const std::vector<ValueRange>& ranges_;
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
  }
  return "?";
}

std::optional<FusedProgram> match_fused(const Requantizer& requantizer, const ValueRange& input,
                                        const std::vector<ValueRange>& ranges) {
  if (!value_fits_int32(input)) return std::nullopt;
  return Matcher(requantizer, ranges).match();
}

}  // namespace facsim::sim
