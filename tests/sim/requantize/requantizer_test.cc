// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/requantizer.h"

#include <doctest/doctest.h>

#include <cfenv>
#include <cmath>
#include <limits>
#include <string>

#include "sim/core/error.h"
#include "sim/requantize/programs.h"
#include "tests/sim/requantize/program_cases.h"
#include "tests/sim/requantize/step_makers.h"

namespace facsim::sim {
namespace {

int64_t run(std::vector<Step> steps, int64_t acc, IntType output = IntType{64, true}) {
  Events events;
  return Requantizer({std::move(steps), false}, {}, output).apply(acc, 0, events);
}

TEST_CASE("requantizer: each integer step") {
  CHECK(run({}, -7) == -7);
  CHECK(run({step(StepKind::shl, c(3))}, -7) == -56);
  CHECK(run({step(StepKind::shr, c(1), {}, Rounding::half_up)}, -7) == -3);
  CHECK(run({step(StepKind::shr, c(1), {}, Rounding::half_away_from_zero)}, -7) == -4);
  CHECK(run({step(StepKind::mul, c(-3))}, -7) == 21);
  CHECK(run({step(StepKind::add, c(5))}, -7) == -2);
  CHECK(run({step(StepKind::sub, c(5))}, -7) == -12);
  CHECK(run({step(StepKind::div, c(2), {}, Rounding::half_even)}, -7) == -4);
  CHECK(run({step(StepKind::div, c(3), {}, Rounding::toward_zero)}, -7) == -2);
  CHECK(run({resize(kInt8, Overflow::saturate)}, 1000) == 127);
  CHECK(run({resize(kInt8, Overflow::wrap)}, 1000) == -24);
  CHECK(run({step(StepKind::clamp, c(-3), c(3))}, -7) == -3);
  CHECK(run({step(StepKind::clamp, c(5), c(3))}, -7) == 3);  // min(max(v, a), b)
}

/// acc * scale + zero_point, half_even, each step rounded to `conversion`'s type.
int64_t scaled(StepKind conversion, int64_t acc, float scale, float zero_point) {
  return run({step(conversion), step(StepKind::fmul, f(scale)), step(StepKind::fadd, f(zero_point)),
              step(StepKind::fclamp, f(0), f(255)), step(StepKind::round)},
             acc);
}

TEST_CASE("requantizer: float64 steps round once in float64") {
  // float32(16777217) is 16777216, float64 holds it.
  CHECK(run({step(StepKind::to_f32), step(StepKind::round)}, 16777217) == 16777216);
  CHECK(run({step(StepKind::to_f64), step(StepKind::round)}, 16777217) == 16777217);
  // 1831258601 * 9837168 * 2^-55 = 0.5 - 5.4e-15 (exact in float64); + 127 is a tie there, which
  // goes to 128; exact arithmetic gives 127. In float32 the product is 0.5 and the same tie.
  CHECK(scaled(StepKind::to_f64, 1831258601, 9837168 * 0x1p-55F, 127) == 128);
  const int64_t product = int64_t{1831258601} * 9837168;
  CHECK(product < int64_t{1} << 54);
  CHECK(run({step(StepKind::add, c(int64_t{127} << 55)),
             step(StepKind::shr, c(55), {}, Rounding::half_even)},
            product) == 127);
  // Pitfall 4: acc -192937983, scale 2^-24 (-11.4999999...): float32 -12, float64 -11.
  CHECK(scaled(StepKind::to_f32, -192937983, 0x1p-24F, 100) == 88);
  CHECK(scaled(StepKind::to_f64, -192937983, 0x1p-24F, 100) == 89);
}

TEST_CASE("requantizer: float64 has no results of its own and keeps clamps and divisions") {
  CHECK(run({step(StepKind::to_f64), step(StepKind::fdiv, f(4)), step(StepKind::fsub, f(0.5F)),
             step(StepKind::round)},
            13) == 3);  // 2.75
  CHECK(run({step(StepKind::to_f64), step(StepKind::fclamp, f(-2), f(2)), step(StepKind::round)},
            -13) == -2);
  CHECK_THROWS_AS(run({step(StepKind::to_f64)}, 1), Error);
  CHECK_THROWS_AS(run({step(StepKind::to_f64, f(1)), step(StepKind::round)}, 1), Error);
  // A later to_f32 is float32 again.
  CHECK(run({step(StepKind::to_f64), step(StepKind::round), step(StepKind::to_f32),
             step(StepKind::round)},
            16777217) == 16777216);
}

TEST_CASE("requantizer: each float32 step") {
  const auto rounded = [](std::vector<Step> steps, int64_t acc) {
    steps.insert(steps.begin(), step(StepKind::to_f32));
    steps.push_back(step(StepKind::round));
    return run(std::move(steps), acc);
  };
  CHECK(rounded({}, 16777217) == 16777216);
  CHECK(rounded({step(StepKind::fadd, f(0.5F))}, 7) == 8);    // 7.5 -> 8
  CHECK(rounded({step(StepKind::fsub, f(0.5F))}, 7) == 6);    // 6.5 -> 6
  CHECK(rounded({step(StepKind::fmul, f(0.25F))}, 10) == 2);  // 2.5 -> 2
  CHECK(rounded({step(StepKind::fdiv, f(4))}, 14) == 4);      // 3.5 -> 4
  CHECK(rounded({step(StepKind::fclamp, f(-1), f(1))}, 14) == 1);
}

TEST_CASE("requantizer: a fused multiply-add rounds once, a rounding may add a half first") {
  const auto real = [](Step last, int64_t acc) {
    Events events;
    return Requantizer({{step(StepKind::to_f32), std::move(last)}, false}, {}, kInt32)
        .apply_to_real(acc, 0, events);
  };
  CHECK(real(step(StepKind::fmul, f(0.1F), f(-1)), 10) == 1.4901161e-08F);
  Events events;
  CHECK(Requantizer(
            {{step(StepKind::to_f32), step(StepKind::fmul, f(0.1F)), step(StepKind::fadd, f(-1))},
             false},
            {}, kInt32)
            .apply_to_real(10, 0, events) == 0);
  // 0.49999997 + 0.5 is 1 in float32: what ncnn's and Hexagon's rounding gives.
  const float below_half = std::nextafter(0.5F, 0.0F);
  for (const int sign : {1, -1}) {
    const auto scaled = step(StepKind::fmul, f(below_half));
    CHECK(run({step(StepKind::to_f32), scaled,
               step(StepKind::round, {}, {}, Rounding::half_away_from_zero)},
              sign) == 0);
    CHECK(run({step(StepKind::to_f32), scaled,
               step(StepKind::round, f(0.5F), {}, Rounding::toward_zero)},
              sign) == sign);
  }
  CHECK_THROWS_WITH_AS(run({step(StepKind::to_f32), step(StepKind::round, f(-0.5F))}, 1),
                       doctest::Contains("addend >= 0"), Error);
}

TEST_CASE("requantizer: intermediates are exact beyond 64 bits") {
  const std::vector<Step> steps = {step(StepKind::shl, c(24)), step(StepKind::mul, c(INT32_MAX)),
                                   step(StepKind::shr, c(54), {}, Rounding::floor)};
  // floor((2^63 - 1) * 2^24 * (2^31 - 1) / 2^54) = 2^64 - 2^33 - 2.
  std::vector<Step> narrowed = steps;
  narrowed.push_back(resize(kInt32, Overflow::wrap));
  CHECK(run(narrowed, INT64_MAX) == -2);
  std::vector<Step> saturated = steps;
  saturated.push_back(resize(kInt32, Overflow::saturate));
  CHECK(run(saturated, INT64_MAX) == INT32_MAX);
  CHECK(run(saturated, INT64_MIN) == INT32_MIN);
}

TEST_CASE("requantizer: a program may start or end in float32") {
  Events events;
  const Requantizer quantize({{step(StepKind::fdiv, f(0.5F)), step(StepKind::round)}, true}, {},
                             kInt8);
  CHECK(quantize.apply_real(3.25F, 0, events) == 6);  // 6.5 -> 6
  const Requantizer dequantize(
      {{step(StepKind::sub, c(3)), step(StepKind::to_f32), step(StepKind::fmul, f(0.5F))}, false},
      {}, kInt8);
  CHECK(dequantize.output_is_real());
  CHECK(dequantize.apply_to_real(10, 0, events) == 3.5F);
}

TEST_CASE("requantizer: resizes count events, clamps do not") {
  const Requantizer r({{resize(kInt16, Overflow::wrap), resize(kInt8, Overflow::saturate),
                        step(StepKind::clamp, c(-10), c(10))},
                       false},
                      {}, kInt8);
  Events events;
  CHECK(r.apply(65536 + 200, 0, events) == 10);  // wraps to 200, saturates to 127, clamps to 10
  CHECK(events == Events{.saturated = 1, .wrapped = 1, .accumulator_overflow = 0});
  CHECK(r.apply(50, 0, events) == 10);
  CHECK(events == Events{.saturated = 1, .wrapped = 1, .accumulator_overflow = 0});
}

TEST_CASE("requantizer: arguments per tensor and per channel") {
  Arguments a;
  a.integers = {{"multiplier", {2, 3, 5}}, {"zero_point", {1}}};
  const Requantizer r({{step(StepKind::mul, Operand::arg("multiplier")),
                        step(StepKind::add, Operand::arg("zero_point"))},
                       false},
                      a, kInt32);
  CHECK(r.channels() == 3);
  Events events;
  CHECK(r.apply(10, 0, events) == 21);
  CHECK(r.apply(10, 2, events) == 51);
}

TEST_CASE("requantizer: the trace shows every intermediate") {
  const Requantizer r({{step(StepKind::mul, c(3)), step(StepKind::to_f32),
                        step(StepKind::fmul, f(0.5F)), step(StepKind::round)},
                       false},
                      {}, kInt8);
  const std::vector<TracedStep> trace = r.trace(5, 0);
  REQUIRE(trace.size() == 4);
  CHECK(trace[0].step == "mul 3");
  CHECK(trace[0].integer == 15);
  CHECK_FALSE(trace[0].is_real);
  CHECK(trace[2].is_real);
  CHECK(trace[2].real == 7.5F);
  CHECK(trace[3].step == "round half_even");
  CHECK(trace[3].integer == 8);
}

TEST_CASE("requantizer: the caller's floating-point mode does not matter") {
  Arguments a = layer_arguments(kInt8, 4, 3);
  const Requantizer r(programs::float_zero_point_before(kInt8, Rounding::half_even,
                                                        programs::FloatBias::before_scale,
                                                        programs::FloatScale::divide),
                      a, kInt8);
  for (int environment : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    for (int32_t acc : directed_accumulators(int64_t{1} << 31, 200, 4)) {
      for (int64_t channel = 0; channel < 4; ++channel) {
        Events events;
        const int64_t expected = r.apply(acc, channel, events);
        std::fesetround(environment);
        const int64_t got = r.apply(acc, channel, events);
        const int after = std::fegetround();
        std::fesetround(FE_TONEAREST);
        CHECK(got == expected);
        CHECK(after == environment);
      }
    }
  }
}

TEST_CASE("requantizer: a quotient has the same bits in every floating-point mode") {
  const Requantizer third({{step(StepKind::to_f32), step(StepKind::fdiv, f(3))}, false}, {}, kInt8);
  for (int environment : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    Events events;
    std::fesetround(environment);
    const float up = third.apply_to_real(1, 0, events);
    const float down = third.apply_to_real(-1, 0, events);
    std::fesetround(FE_TONEAREST);
    CHECK(up == 0x1.555556p-2F);
    CHECK(down == -0x1.555556p-2F);
  }
}

/// Constructs, and returns the message.
std::string refusal(std::vector<Step> steps, const Arguments& a = {}, bool input_is_real = false) {
  try {
    Requantizer({std::move(steps), input_is_real}, a, kInt8);
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::bad_value);
    return e.what();
  }
  return "accepted";
}

bool says(const std::string& message, const char* what) {
  return message.find(what) != std::string::npos;
}

TEST_CASE("requantizer: a bad program is refused with its place") {
  const Operand arg = Operand::arg("scale");
  CHECK(refusal({step(StepKind::mul, c(3))}) == "accepted");
  SUBCASE("missing argument") {
    const std::string m = refusal({step(StepKind::mul, arg)});
    CHECK(says(m, "step 0 (mul scale)"));
    CHECK(says(m, "\"scale\" is missing"));
  }
  SUBCASE("argument of another type") {
    Arguments a;
    a.reals = {{"scale", {1.0F}}};
    CHECK(says(refusal({step(StepKind::mul, arg)}, a), "\"scale\" is of another type"));
  }
  SUBCASE("argument without values") {
    Arguments a;
    a.integers = {{"scale", {}}};
    CHECK(says(refusal({step(StepKind::mul, arg)}, a), "has 0 values"));
  }
  SUBCASE("arguments of different lengths") {
    Arguments a;
    a.integers = {{"scale", {1, 2, 3}}, {"zero_point", {1, 2}}};
    const std::string m =
        refusal({step(StepKind::mul, arg), step(StepKind::add, Operand::arg("zero_point"))}, a);
    CHECK(says(m, "\"zero_point\" has 2 values"));
    CHECK(says(m, "1 or 3"));
  }
  SUBCASE("an integer step on a float32 value") {
    CHECK(
        says(refusal({step(StepKind::to_f32), step(StepKind::mul, c(3))}), "the value is float32"));
    CHECK(says(refusal({step(StepKind::mul, c(3))}, {}, true), "the value is float32"));
  }
  SUBCASE("a float32 step on an integer") {
    CHECK(says(refusal({step(StepKind::fmul, f(3))}), "the value is an integer"));
    CHECK(says(refusal({step(StepKind::round)}), "the value is an integer"));
  }
  SUBCASE("a shift outside 0..62") {
    CHECK(says(refusal({step(StepKind::shr, c(63))}), "a shift 0..62"));
    CHECK(says(refusal({step(StepKind::shl, c(-1))}), "a shift 0..62"));
    Arguments a;
    a.integers = {{"scale", {1, 64}}};
    CHECK(says(refusal({step(StepKind::shr, arg)}, a), "64; expected a shift 0..62"));
  }
  SUBCASE("a divisor that is not positive") {
    CHECK(says(refusal({step(StepKind::div, c(0))}), "a positive divisor"));
    CHECK(says(refusal({step(StepKind::div, c(-4))}), "a positive divisor"));
  }
  SUBCASE("no such type") {
    CHECK(says(refusal({resize({0, true}, Overflow::wrap)}), "a type of 1..64 bits"));
    CHECK(says(refusal({resize({65, true}, Overflow::wrap)}), "a type of 1..64 bits"));
    CHECK(says(refusal({resize({64, false}, Overflow::wrap)}), "uint64"));
  }
  SUBCASE("operands missing or too many") {
    CHECK(says(refusal({step(StepKind::mul)}), "an operand is missing"));
    CHECK(says(refusal({step(StepKind::clamp, c(0))}), "an operand is missing"));
    CHECK(says(refusal({step(StepKind::mul, c(1), c(2))}), "too many operands"));
    CHECK(says(refusal({step(StepKind::to_f32, c(1))}), "too many operands"));
    CHECK(says(refusal({step(StepKind::to_f32), step(StepKind::fclamp, f(0))}), "is missing"));
  }
  SUBCASE("a constant of the wrong kind") {
    CHECK(says(refusal({step(StepKind::mul, f(1.5F))}), "1.5; expected an integer"));
    CHECK(
        says(refusal({step(StepKind::to_f32), step(StepKind::fmul, c(2))}), "expected a float32"));
  }
  SUBCASE("a value that could pass 126 bits") {
    const std::string m = refusal({step(StepKind::shl, c(62)), step(StepKind::mul, c(INT32_MAX))});
    CHECK(says(m, "step 1 (mul 2147483647)"));
    CHECK(says(m, "126 bits"));
  }
  SUBCASE("all findings at once") {
    const std::string m = refusal({step(StepKind::shr, c(99)), step(StepKind::mul, arg)});
    CHECK(says(m, "step 0"));
    CHECK(says(m, "step 1"));
  }
}

TEST_CASE("requantizer: a value without a meaning is refused when it appears") {
  Events events;
  const float infinity = std::numeric_limits<float>::infinity();
  const Requantizer round({{step(StepKind::round)}, true}, {}, IntType{64, true});
  CHECK(round.apply_real(-0x1p63F, 0, events) == INT64_MIN);
  CHECK_THROWS_AS(round.apply_real(0x1p63F, 0, events), Error);
  CHECK_THROWS_AS(round.apply_real(infinity, 0, events), Error);
  CHECK_THROWS_AS(round.apply_real(std::nanf(""), 0, events), Error);
  // A clamp in front gives every value a meaning.
  const Requantizer clamped(
      {{step(StepKind::fclamp, f(-128), f(127)), step(StepKind::round)}, true}, {}, kInt8);
  CHECK(clamped.apply_real(std::nanf(""), 0, events) == -128);
  CHECK(clamped.apply_real(infinity, 0, events) == 127);

  CHECK_THROWS_AS(run({}, 128, kInt8), Error);  // no resize, and outside the output
  CHECK_THROWS_AS(run({resize(kInt8, Overflow::error)}, 128, kInt8), Error);
  CHECK(run({resize(kInt8, Overflow::error)}, 127, kInt8) == 127);
}

TEST_CASE("step: to_string names every part") {
  CHECK(to_string(step(StepKind::mul, Operand::arg("multiplier"))) == "mul multiplier");
  CHECK(to_string(step(StepKind::shr, c(31), {}, Rounding::half_up)) == "shr 31 half_up");
  CHECK(to_string(resize(kInt32, Overflow::saturate)) == "resize int32 saturate");
  CHECK(to_string(step(StepKind::fclamp, f(-1.5F), Operand::arg("clamp_max"))) ==
        "fclamp -1.5 clamp_max");
  CHECK(to_string(StepProgram{{step(StepKind::to_f32), step(StepKind::round)}, false}) ==
        "to_f32\nround half_even\n");
}

}  // namespace
}  // namespace facsim::sim
