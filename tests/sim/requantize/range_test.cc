// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/range.h"

#include <doctest/doctest.h>

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

}  // namespace
}  // namespace facsim::sim
