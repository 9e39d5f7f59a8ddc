// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/range.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "sim/requantize/requantizer.h"
#include "tests/sim/requantize/program_cases.h"

namespace facsim::sim {
namespace {

TEST_CASE("infer_ranges: every intermediate of every program lies inside") {
  constexpr int64_t kChannels = 5;
  for (const int64_t limit : {int64_t{1} << 10, int64_t{1} << 22, int64_t{1} << 31}) {
    const std::vector<int32_t> acc = directed_accumulators(limit, 40, 9);
    for (const ProgramCase& program : program_cases(kChannels)) {
      const Requantizer r(program.program, program.arguments, program.output);
      const auto ranges =
          infer_ranges(r.bound_steps(), kChannels, ValueRange::integers(-limit, limit - 1));
      for (int32_t v : acc) {
        const auto trace = r.trace(v, v & 3);
        for (size_t i = 0; i < trace.size(); ++i) {
          const ValueRange& range = ranges[i];
          if (!range.bounded) continue;
          const bool inside =
              trace[i].is_real ? trace[i].real >= range.real_min && trace[i].real <= range.real_max
                               : trace[i].integer >= range.min && trace[i].integer <= range.max;
          if (!inside) FAIL(program.name << " acc " << v << " step " << trace[i].step);
        }
      }
    }
  }
}

TEST_CASE("infer_ranges: is tight where a step is monotonic") {
  const std::vector<BoundStep> steps = {
      {StepKind::mul, {}, {}, {}, PerChannel<int64_t>({-3}), {}, {}, {}},
      {StepKind::shr, Rounding::half_up, {}, {}, PerChannel<int64_t>({1}), {}, {}, {}},
      {StepKind::resize, {}, IntType{4, true}, Overflow::saturate, {}, {}, {}, {}}};
  const auto ranges = infer_ranges(steps, 1, ValueRange::integers(-2, 9));
  CHECK(ranges[0].min == -27);
  CHECK(ranges[0].max == 6);
  CHECK(ranges[1].min == -13);  // -13.5 rounds up
  CHECK(ranges[1].max == 3);
  CHECK(ranges[2].min == -8);
  CHECK(ranges[2].max == 3);
}

TEST_CASE("infer_ranges: what may be refused or unbounded is marked") {
  const BoundStep to_f32{StepKind::to_f32, {}, {}, {}, {}, {}, {}, {}};
  const BoundStep divide{StepKind::fdiv, {}, {}, {}, {}, {}, PerChannel<float>({0.0F}), {}};
  const BoundStep round{StepKind::round, Rounding::half_even, {}, {}, {}, {}, {}, {}};
  const BoundStep clamp{StepKind::fclamp,         {}, {}, {}, {}, {}, PerChannel<float>({-1.0F}),
                        PerChannel<float>({1.0F})};
  const ValueRange input = ValueRange::integers(-5, 5);
  const auto divided = infer_ranges(std::vector{to_f32, divide, round}, 1, input);
  CHECK_FALSE(divided[1].bounded);
  CHECK(divided[2].may_throw);
  const auto clamped = infer_ranges(std::vector{to_f32, divide, clamp, round}, 1, input);
  CHECK(clamped[3].bounded);
  CHECK_FALSE(clamped[3].may_throw);
  CHECK(clamped[3].min == -1);
  CHECK(clamped[3].max == 1);
  // float32 bounds cannot hold float64 values: only a clamp gives bounds again.
  const BoundStep to_f64{StepKind::to_f64, {}, {}, {}, {}, {}, {}, {}};
  const BoundStep third{StepKind::fmul, {}, {}, {}, {}, {}, PerChannel<float>({0.1F}), {}};
  const auto wide = infer_ranges(std::vector{to_f64, third, clamp, third, clamp, round}, 1, input);
  CHECK_FALSE(wide[0].bounded);
  CHECK_FALSE(wide[1].bounded);
  CHECK(wide[2].bounded);
  CHECK_FALSE(wide[3].bounded);
  CHECK(wide[5].min == -1);
  CHECK(wide[5].max == 1);
  CHECK_FALSE(wide[5].may_throw);
  const BoundStep refuse{StepKind::resize, {}, kInt8, Overflow::error, {}, {}, {}, {}};
  CHECK_FALSE(infer_ranges(std::vector{refuse}, 1, input)[0].may_throw);
  CHECK(infer_ranges(std::vector{refuse}, 1, ValueRange::integers(0, 128))[0].may_throw);
}

BoundStep with_operand(StepKind kind, int64_t a, Rounding rounding = Rounding::floor) {
  return {kind, rounding, {}, {}, PerChannel<int64_t>({a}), {}, {}, {}};
}
BoundStep with_real(StepKind kind, float a) {
  return {kind, Rounding::half_even, {}, {}, {}, {}, PerChannel<float>({a}), {}};
}
BoundStep into(IntType type, Overflow overflow) {
  return {StepKind::resize, {}, type, overflow, {}, {}, {}, {}};
}
std::vector<ValueRange> ranges(const std::vector<BoundStep>& steps, ValueRange input) {
  return infer_ranges(steps, 1, input);
}
void check_integers(const ValueRange& v, int128 min, int128 max) {
  CHECK(v.bounded);
  CHECK_FALSE(v.is_real);
  CHECK(v.min == min);
  CHECK(v.max == max);
}
void check_reals(const ValueRange& v, float min, float max) {
  CHECK(v.bounded);
  CHECK(v.is_real);
  CHECK(v.real_min == min);
  CHECK(v.real_max == max);
}

TEST_CASE("infer_ranges: every integer step at both ends") {
  const ValueRange input = ValueRange::integers(-7, 9);
  check_integers(ranges({with_operand(StepKind::shl, 3)}, input)[0], -56, 72);
  check_integers(ranges({with_operand(StepKind::add, 5)}, input)[0], -2, 14);
  check_integers(ranges({with_operand(StepKind::sub, 5)}, input)[0], -12, 4);
  check_integers(ranges({with_operand(StepKind::div, 2, Rounding::half_up)}, input)[0], -3, 5);
  check_integers(ranges({with_operand(StepKind::div, 1, Rounding::half_up)}, input)[0], input.min,
                 input.max);
  check_integers(ranges({with_operand(StepKind::shr, 1, Rounding::ceil)}, input)[0], -3, 5);
  for (const int64_t divisor : {0, -1}) {
    const ValueRange refused =
        ranges({with_operand(StepKind::div, divisor, Rounding::floor)}, input)[0];
    CHECK(refused.may_throw);
    check_integers(refused, INT64_MIN, INT64_MAX);
  }
  check_integers(ranges({with_operand(StepKind::mul, 0)}, input)[0], 0, 0);
  const BoundStep clamp{StepKind::clamp,          {}, {}, {}, PerChannel<int64_t>({-4}),
                        PerChannel<int64_t>({6}), {}, {}};
  check_integers(ranges({clamp}, input)[0], -4, 6);
  check_integers(ranges({clamp}, ValueRange::integers(7, 8))[0], 6, 6);
  check_integers(ranges({clamp}, ValueRange::integers(-8, -5))[0], -4, -4);
  check_integers(ranges({clamp}, ValueRange::integers(-3, 5))[0], -3, 5);
  check_reals(ranges({with_operand(StepKind::to_f32, 0)}, input)[0], -7, 9);
}

TEST_CASE("infer_ranges: resizes inside, outside and by every policy") {
  const ValueRange small = ValueRange::integers(-8, 7);
  const IntType int4{4, true};
  for (const Overflow policy : all_overflows()) {
    CAPTURE(to_string(policy));
    const bool symmetric = policy == Overflow::saturate_symmetric;
    check_integers(ranges({into(int4, policy)}, small)[0], symmetric ? -7 : -8, 7);
    CHECK_FALSE(ranges({into(int4, policy)}, small)[0].may_throw);
    for (const ValueRange& wide : {ValueRange::integers(-9, 7), ValueRange::integers(-8, 8)}) {
      const ValueRange brought = ranges({into(int4, policy)}, wide)[0];
      check_integers(brought, symmetric ? -7 : -8, 7);
      CHECK(brought.may_throw == (policy == Overflow::error));
    }
  }
  check_integers(ranges({into(int4, Overflow::saturate)}, ValueRange::integers(3, 100))[0], 3, 7);
  check_integers(ranges({into(int4, Overflow::saturate)}, ValueRange::integers(-100, -3))[0], -8,
                 -3);
  check_integers(ranges({into(int4, Overflow::saturate_zero)}, ValueRange::integers(3, 9))[0], -8,
                 7);
}

TEST_CASE("infer_ranges: 125 bits are known, 126 are not, and what brings them back") {
  const ValueRange input = ValueRange::integers(-(int128{1} << 62), (int128{1} << 62) - 1);
  const auto after = [&](std::vector<BoundStep> steps) { return ranges(steps, input).back(); };
  CHECK(after({with_operand(StepKind::shl, 62)}).bounded);
  CHECK(after({with_operand(StepKind::shl, 62), with_operand(StepKind::shl, 1)}).bounded);
  CHECK_FALSE(after({with_operand(StepKind::shl, 62), with_operand(StepKind::shl, 2)}).bounded);
  CHECK(after({with_operand(StepKind::mul, int64_t{1} << 62)}).bounded);
  CHECK(after({with_operand(StepKind::mul, INT64_MIN)}).bounded);
  CHECK_FALSE(
      after({with_operand(StepKind::shl, 1), with_operand(StepKind::mul, INT64_MAX)}).bounded);
  const BoundStep too_far = with_operand(StepKind::shl, 62);
  const BoundStep clamp{StepKind::clamp,          {}, {}, {}, PerChannel<int64_t>({9}),
                        PerChannel<int64_t>({6}), {}, {}};
  const std::vector<BoundStep> far = {too_far, too_far};
  const auto then = [&](const BoundStep& step) {
    std::vector<BoundStep> steps = far;
    steps.push_back(step);
    return after(steps);
  };
  for (const StepKind kind : {StepKind::shl, StepKind::shr, StepKind::mul, StepKind::add,
                              StepKind::sub, StepKind::div, StepKind::to_f32}) {
    CHECK_FALSE(then(with_operand(kind, 1)).bounded);
  }
  CHECK_FALSE(then({StepKind::to_f64, {}, {}, {}, {}, {}, {}, {}}).bounded);
  CHECK(then({StepKind::to_f64, {}, {}, {}, {}, {}, {}, {}}).is_real);
  check_integers(then(clamp), 6, 6);  // min(max(v, 9), 6)
  check_integers(then(into(kInt8, Overflow::saturate)), -128, 127);
  check_integers(then(into(kInt8, Overflow::saturate_symmetric)), -128, 127);
  check_integers(then(into(kInt8, Overflow::wrap)), -128, 127);
  // The last value below the limit of the norm.
  const int128 last = kNormLimit - 1;
  const BoundStep add = with_operand(StepKind::add, 1), sub = with_operand(StepKind::sub, 1);
  CHECK(ranges({add}, ValueRange::integers(0, last - 1))[0].bounded);
  CHECK_FALSE(ranges({add}, ValueRange::integers(0, last))[0].bounded);
  CHECK(ranges({sub}, ValueRange::integers(-last + 1, 0))[0].bounded);
  CHECK_FALSE(ranges({sub}, ValueRange::integers(-last, 0))[0].bounded);
}

TEST_CASE("infer_ranges: every float32 step at both ends, and what infinities do") {
  const ValueRange input = ValueRange::reals(-3, 5);
  check_reals(ranges({with_real(StepKind::fadd, 0.5F)}, input)[0], -2.5F, 5.5F);
  check_reals(ranges({with_real(StepKind::fsub, 0.5F)}, input)[0], -3.5F, 4.5F);
  check_reals(ranges({with_real(StepKind::fmul, -2)}, input)[0], -10, 6);
  check_reals(ranges({with_real(StepKind::fdiv, -2)}, input)[0], -2.5F, 1.5F);
  const BoundStep fused{StepKind::fmul,        {}, {}, {}, {}, {}, PerChannel<float>({-2}),
                        PerChannel<float>({1})};
  check_reals(ranges({fused}, input)[0], -9, 7);
  CHECK_FALSE(ranges({with_real(StepKind::fmul, 3e38F)}, input)[0].bounded);
  CHECK_FALSE(ranges({with_real(StepKind::fmul, 1e38F)}, ValueRange::reals(-1, 5))[0].bounded);
  CHECK_FALSE(ranges({with_real(StepKind::fmul, 1e38F)}, ValueRange::reals(-5, 1))[0].bounded);
  const BoundStep fclamp{StepKind::fclamp,      {}, {}, {}, {}, {}, PerChannel<float>({-1}),
                         PerChannel<float>({2})};
  check_reals(ranges({fclamp}, input)[0], -1, 2);
  check_reals(ranges({fclamp}, ValueRange::reals(3, 4))[0], 2, 2);
  check_reals(ranges({fclamp}, ValueRange::reals(-4, -3))[0], -1, -1);
  check_reals(ranges({fclamp}, ValueRange::any_real())[0], -1, 2);
  CHECK_FALSE(ranges({with_real(StepKind::fadd, 1)}, ValueRange::any_real())[0].bounded);
}

TEST_CASE("infer_ranges: rounding to integers, with an addend, and at the ends of int64") {
  const BoundStep round{StepKind::round, Rounding::half_even, {}, {}, {}, {}, {}, {}};
  check_integers(ranges({round}, ValueRange::reals(-2.5F, 3.5F))[0], -2, 4);
  const BoundStep added{
      StepKind::round, Rounding::toward_zero, {}, {}, {}, {}, PerChannel<float>({0.5F}), {}};
  check_integers(ranges({added}, ValueRange::reals(-2.5F, 3.4F))[0], -3, 3);
  check_integers(ranges({added}, ValueRange::reals(1.5F, 3.5F))[0], 2, 4);
  check_integers(ranges({added}, ValueRange::reals(-3.5F, -1.5F))[0], -4, -2);
  // float32 adds 0.5 to the float before 0.5 with rounding, float64 without: the outer of the two.
  check_integers(ranges({added}, ValueRange::reals(-0x1.fffffep-2F, 0x1.fffffep-2F))[0], -1, 1);
  for (const ValueRange& wide :
       {ValueRange::reals(0, 0x1p63F), ValueRange::reals(-0x1.000002p63F, 0)}) {
    const ValueRange rounded = ranges({round}, wide)[0];
    CHECK(rounded.may_throw);
    check_integers(rounded, INT64_MIN, INT64_MAX);
  }
  const ValueRange fits = ranges({round}, ValueRange::reals(-0x1p63F, 0x1.fffffep62F))[0];
  CHECK_FALSE(fits.may_throw);
  check_integers(fits, INT64_MIN, 0x7fffff8000000000);
  CHECK(ranges({round}, ValueRange::any_real())[0].may_throw);
}

TEST_CASE("infer_ranges: the wider end decides how far a value reaches") {
  const int128 large = int128{1} << 100;
  for (const ValueRange& input :
       {ValueRange::integers(-1, large), ValueRange::integers(-large - 1, 1)}) {
    CHECK(ranges({with_operand(StepKind::shl, 24)}, input)[0].bounded);
    CHECK_FALSE(ranges({with_operand(StepKind::shl, 25)}, input)[0].bounded);
  }
  check_integers(ranges({with_operand(StepKind::shl, 3)}, ValueRange::integers(-1, 0))[0], -8, 0);
}

TEST_CASE("infer_ranges: a quotient by any divisor but 0 is known") {
  const ValueRange input = ValueRange::reals(-3, 5);
  check_reals(ranges({with_real(StepKind::fdiv, 1)}, input)[0], -3, 5);
  check_reals(ranges({with_real(StepKind::fdiv, -1)}, input)[0], -5, 3);
}

TEST_CASE("infer_ranges: the addend of round has the value's sign, of 0 either") {
  const auto rounded = [](float addend, float min, float max) {
    BoundStep round{
        StepKind::round, Rounding::toward_zero, {}, {}, {}, {}, PerChannel<float>({addend}), {}};
    return ranges({round}, ValueRange::reals(min, max))[0];
  };
  check_integers(rounded(1.5F, 0, 3), -1, 4);
  check_integers(rounded(1.5F, 0.5F, 3), 2, 4);
  check_integers(rounded(1.5F, -3, 0), -4, 1);
  check_integers(rounded(1.5F, -3, -0.5F), -4, -2);
  // In float32 2^24 + 1 is 2^24: the outer of both precisions.
  check_integers(rounded(1, 0.5F, 0x1p24F), 1, (1 << 24) + 1);
  check_integers(rounded(1, -0x1p24F, -0.5F), -(1 << 24) - 1, -1);
}

TEST_CASE("infer_ranges: joins channels, each of which may be unbounded or refused") {
  const auto joined = [](std::vector<int64_t> shifts, int128 limit) {
    const BoundStep far{StepKind::shl, {}, {}, {}, PerChannel<int64_t>(shifts), {}, {}, {}};
    return infer_ranges(std::vector{far, far, into(kInt8, Overflow::error)},
                        static_cast<int64_t>(shifts.size()), ValueRange::integers(-limit, limit));
  };
  const auto bounded = joined({1, 2}, 3);
  check_integers(bounded[0], -12, 12);
  CHECK_FALSE(bounded[2].may_throw);
  CHECK(joined({4, 1}, 3)[2].may_throw);
  CHECK(joined({1, 4}, 3)[2].may_throw);
  CHECK_FALSE(joined({62, 1}, 9)[1].bounded);
  CHECK_FALSE(joined({1, 62}, 9)[1].bounded);
  const BoundStep scale{StepKind::fmul, {}, {}, {}, {}, {}, PerChannel<float>({2, -3, 1}), {}};
  check_reals(infer_ranges(std::vector{scale}, 3, ValueRange::reals(-1, 5))[0], -15, 10);
}

TEST_CASE("infer_ranges: of all channels, the hull of one-channel calls") {
  // Channels that repeat the one before, in one operand or in all, and that do not; beside operands
  // for all channels.
  const std::vector<int64_t> multipliers = {3, 3, -2, 3, 3, 7}, shifts = {1, 1, 1, 0, 2, 2};
  const std::vector<int64_t> lows = {-9, -9, -9, -9, -20, -1}, highs = {4, 4, 4, 5, 5, 90};
  const std::vector<float> scales = {2, 2, -1, 0.0F, -0.0F, -0.0F};
  const std::vector<float> addends = {1, 1, 1, 1, -300, 9};
  const auto steps_of = [&](std::initializer_list<size_t> channels) {
    const auto pick = [&]<class T>(const std::vector<T>& all) {
      std::vector<T> some;
      for (const size_t c : channels) some.push_back(all[c]);
      return PerChannel<T>(some);
    };
    return std::vector<BoundStep>{
        {StepKind::mul, {}, {}, {}, pick(multipliers), {}, {}, {}},
        {StepKind::add, {}, {}, {}, PerChannel<int64_t>({5}), {}, {}, {}},
        {StepKind::shr, Rounding::half_up, {}, {}, pick(shifts), {}, {}, {}},
        {StepKind::clamp, {}, {}, {}, pick(lows), pick(highs), {}, {}},
        {StepKind::clamp, {}, {}, {}, PerChannel<int64_t>({-15}), pick(highs), {}, {}},
        {StepKind::to_f32, {}, {}, {}, {}, {}, {}, {}},
        {StepKind::fmul, {}, {}, {}, {}, {}, pick(scales), pick(addends)},
        {StepKind::round, Rounding::half_even, {}, {}, {}, {}, {}, {}},
        into(kInt8, Overflow::error)};
  };
  const ValueRange input = ValueRange::integers(-11, 13);
  const std::vector<ValueRange> joined = infer_ranges(steps_of({0, 1, 2, 3, 4, 5}), 6, input);
  std::vector<ValueRange> hull = infer_ranges(steps_of({0}), 1, input);
  for (const size_t c : {1, 2, 3, 4, 5}) {
    const std::vector<ValueRange> one = infer_ranges(steps_of({c}), 1, input);
    for (size_t i = 0; i < one.size(); ++i) {
      hull[i].bounded = hull[i].bounded && one[i].bounded;
      hull[i].may_throw = hull[i].may_throw || one[i].may_throw;
      hull[i].min = std::min(hull[i].min, one[i].min);
      hull[i].max = std::max(hull[i].max, one[i].max);
      hull[i].real_min = std::min(hull[i].real_min, one[i].real_min);
      hull[i].real_max = std::max(hull[i].real_max, one[i].real_max);
    }
  }
  CHECK(joined.back().may_throw);  // of channel 4 alone
  for (size_t i = 0; i < joined.size(); ++i) {
    CAPTURE(i);
    CHECK(joined[i].is_real == hull[i].is_real);
    CHECK(joined[i].bounded == hull[i].bounded);
    CHECK(joined[i].may_throw == hull[i].may_throw);
    CHECK(joined[i].min == hull[i].min);
    CHECK(joined[i].max == hull[i].max);
    CHECK(joined[i].real_min == hull[i].real_min);
    CHECK(joined[i].real_max == hull[i].real_max);
  }
}

TEST_CASE("infer_ranges: one operand that differs is enough, whichever it is") {
  // Both channels alike but for one operand.
  const auto real_range = [](std::vector<float> a, std::vector<float> b) {
    const BoundStep step{StepKind::fclamp,
                         {},
                         {},
                         {},
                         {},
                         {},
                         PerChannel<float>(std::move(a)),
                         PerChannel<float>(std::move(b))};
    return infer_ranges(std::vector{step}, 2, ValueRange::reals(-100, 100))[0];
  };
  check_reals(real_range({-3, -3}, {5, 5}), -3, 5);
  check_reals(real_range({-3, -7}, {5, 5}), -7, 5);
  check_reals(real_range({-3}, {5, 9}), -3, 9);
  const auto integer_range = [](std::vector<int64_t> a, std::vector<int64_t> b) {
    const BoundStep step{StepKind::clamp,
                         {},
                         {},
                         {},
                         PerChannel<int64_t>(std::move(a)),
                         PerChannel<int64_t>(std::move(b)),
                         {},
                         {}};
    return infer_ranges(std::vector{step}, 2, ValueRange::integers(-100, 100))[0];
  };
  check_integers(integer_range({-3, -3}, {5, 5}), -3, 5);
  check_integers(integer_range({-3, -7}, {5}), -7, 5);
  check_integers(integer_range({-3, -3}, {5, 9}), -3, 9);
}

TEST_CASE("leaves_unchanged: a resize by its policy's own bounds, a clamp by its channel's") {
  for (const IntType type : {IntType{4, true}, IntType{4, false}, kInt8, IntType{64, true}}) {
    const int128 low = type.min(), high = type.max();
    for (const Overflow policy : all_overflows()) {
      CAPTURE(to_string(policy));
      CAPTURE(type.bits);
      const auto unchanged = [&](int128 min, int128 max) {
        return leaves_unchanged(into(type, policy), 0, ValueRange::integers(min, max));
      };
      const bool narrower = policy == Overflow::saturate_symmetric && type.is_signed;
      CHECK(unchanged(low, high) == !narrower);
      CHECK(unchanged(low, low) == !narrower);
      CHECK(unchanged(low + 1, high));
      CHECK_FALSE(unchanged(low - 1, high));
      CHECK_FALSE(unchanged(low, high + 1));
      ValueRange any = ValueRange::integers(0, 1);
      any.bounded = false;
      CHECK_FALSE(leaves_unchanged(into(type, policy), 0, any));
      CHECK_FALSE(leaves_unchanged(into(type, policy), 0, ValueRange::reals(0, 1)));
    }
  }
  const BoundStep clamp{StepKind::clamp,          {}, {}, {}, PerChannel<int64_t>({-4, -5}),
                        PerChannel<int64_t>({6}), {}, {}};
  CHECK(leaves_unchanged(clamp, 0, ValueRange::integers(-4, 6)));
  CHECK_FALSE(leaves_unchanged(clamp, 0, ValueRange::integers(-5, 6)));
  CHECK(leaves_unchanged(clamp, 1, ValueRange::integers(-5, 6)));
  CHECK_FALSE(leaves_unchanged(clamp, 1, ValueRange::integers(-5, 7)));
  CHECK_FALSE(leaves_unchanged(with_operand(StepKind::add, 0), 0, ValueRange::integers(0, 1)));
}

}  // namespace
}  // namespace facsim::sim
