// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/bind.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "sim/core/error.h"
#include "sim/requantize/platform_programs.h"
#include "sim/requantize/requantizer.h"
#include "tests/sim/requantize/step_makers.h"

namespace facsim::sim {
namespace {

Operand arg(const char* name) { return Operand::arg(name); }

/// What the binder says of a program, empty if nothing.
std::string findings(const std::vector<Step>& steps, const Arguments& arguments = {},
                     bool input_is_real = false) {
  try {
    bind({steps, input_is_real}, arguments);
    return {};
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::bad_value);
    return e.what();
  }
}
bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Arguments some_arguments() {
  Arguments a;
  a.integers = {{"two", {1, 2}}, {"three", {1, 2, 3}}, {"one", {7}}, {"none", {}}};
  a.reals = {{"real", {0.5F}}, {"reals", {0.5F, 1.5F}}, {"negative", {-0.5F}}};
  return a;
}

TEST_CASE("bind: operands of every kind, where each is wrong") {
  const Arguments a = some_arguments();
  CHECK(says(findings({step(StepKind::add, f(1.5F))}), "an integer"));
  CHECK(says(findings({step(StepKind::add)}), "an operand is missing"));
  CHECK(says(findings({step(StepKind::fadd, c(1))}, {}, true), "a float32"));
  CHECK(says(findings({step(StepKind::fadd)}, {}, true), "an operand is missing"));
  CHECK(says(findings({step(StepKind::add, arg("real"))}, a), "of another type"));
  CHECK(says(findings({step(StepKind::fadd, arg("one"))}, a, true), "of another type"));
  CHECK(says(findings({step(StepKind::add, arg("nowhere"))}, a), "missing"));
  CHECK(says(findings({step(StepKind::add, c(1), c(2))}), "too many operands"));
  CHECK(says(findings({step(StepKind::to_f32, c(1))}), "too many operands"));
  CHECK(says(findings({step(StepKind::fadd, f(1), f(2))}, {}, true), "too many operands"));
  CHECK(findings({step(StepKind::clamp, c(1), c(2))}).empty());
  CHECK(findings({step(StepKind::fclamp, f(1), arg("real"))}, a, true).empty());
  CHECK(findings({step(StepKind::fmul, f(1), f(2))}, {}, true).empty());  // fused multiply and add
  const Operand unknown{static_cast<Operand::Kind>(9), 0, 0, {}};
  CHECK(bind({{step(StepKind::add, unknown)}, false}, {}).steps[0].a[0] == 1);
  CHECK(bind({{step(StepKind::fadd, unknown)}, true}, {}).steps[0].real_a[0] == 1);
}

TEST_CASE("bind: a real where an integer is, and the other way round") {
  CHECK(says(findings({step(StepKind::fadd, f(1))}), "the value is an integer here"));
  CHECK(says(findings({step(StepKind::add, c(1))}, {}, true), "the value is float32 here"));
  CHECK(findings({step(StepKind::round), step(StepKind::add, c(1))}, {}, true).empty());
  CHECK(bind({{step(StepKind::to_f32)}, false}, {}).output_is_real);
  CHECK_FALSE(bind({{step(StepKind::round)}, true}, {}).output_is_real);
}

TEST_CASE("bind: lengths of arguments") {
  const Arguments a = some_arguments();
  CHECK(bind({{step(StepKind::add, arg("one"))}, false}, a).channels == 1);
  CHECK(bind({{step(StepKind::add, arg("one")), step(StepKind::mul, arg("two"))}, false}, a)
            .channels == 2);
  CHECK(findings({step(StepKind::add, arg("two")), step(StepKind::mul, arg("one"))}, a).empty());
  CHECK(findings({step(StepKind::add, arg("two")), step(StepKind::mul, arg("two"))}, a).empty());
  CHECK(says(findings({step(StepKind::add, arg("two")), step(StepKind::mul, arg("three"))}, a),
             "1 or 2, as the arguments before it"));
  CHECK(says(findings({step(StepKind::add, arg("none"))}, a), "at least 1"));
  CHECK(says(findings({step(StepKind::add, arg("two")), step(StepKind::mul, arg("none"))}, a),
             "has 0 values"));
}

TEST_CASE("bind: shifts, divisors, types and addends at their ends") {
  CHECK(findings({step(StepKind::shr, c(0)), step(StepKind::shr, c(62))}).empty());
  CHECK(says(findings({step(StepKind::shr, c(63))}), "a shift 0..62"));
  CHECK(says(findings({step(StepKind::shl, c(-1))}), "a shift 0..62"));
  CHECK(findings({step(StepKind::div, c(1))}).empty());
  CHECK(findings({step(StepKind::div, c(INT64_MAX))}).empty());
  CHECK(says(findings({step(StepKind::div, c(0))}), "a positive divisor"));
  for (const IntType good : {IntType{1, true}, IntType{64, true}, IntType{63, false}}) {
    CHECK(findings({resize(good)}).empty());
  }
  for (const IntType bad : {IntType{0, true}, IntType{65, true}, IntType{64, false}}) {
    CHECK(says(findings({resize(bad)}), "a type of 1..64 bits"));
  }
  const auto round = [&](Operand addend) {
    return findings({step(StepKind::round, std::move(addend))}, some_arguments(), true);
  };
  CHECK(round(f(0)).empty());
  CHECK(round(arg("real")).empty());
  CHECK(says(round(arg("negative")), "a finite addend >= 0"));
  CHECK(says(round(f(-0.5F)), "a finite addend >= 0"));
  CHECK(says(round(f(std::numeric_limits<float>::infinity())), "a finite addend >= 0"));
  CHECK(says(round(f(std::numeric_limits<float>::quiet_NaN())), "a finite addend >= 0"));
}

TEST_CASE("bind: all findings at once, each with its step") {
  const std::string text = findings({step(StepKind::shr, c(63)), step(StepKind::div, c(0))});
  CHECK(says(text, "requantize step 0 (shr 63"));
  CHECK(says(text, "requantize step 1 (div 0"));
}

TEST_CASE("bind: a program that can pass 126 bits names the step") {
  const std::string text =
      findings({step(StepKind::shl, c(62)), step(StepKind::shl, c(0)), step(StepKind::shl, c(1))});
  CHECK(says(text, "requantize step 2 (shl 1)"));
  CHECK(says(text, "126 bits"));
  const std::string first =
      findings({step(StepKind::mul, c(INT64_MAX)), Step{.kind = StepKind::resize,
                                                        .a = {},
                                                        .b = {},
                                                        .type = kInt8,
                                                        .overflow = Overflow::saturate}});
  CHECK(says(first, "requantize step 0 (mul"));
  // A value that is not known, but real, is no finding.
  CHECK(findings({step(StepKind::to_f32), step(StepKind::fmul, f(3e38F)), step(StepKind::round)})
            .empty());
}

TEST_CASE("requantizer: a step of no kind leaves the value") {
  Events events;
  const Requantizer r({{step(static_cast<StepKind>(99), c(1))}, false}, {}, kInt8);
  CHECK(r.apply(-5, 0, events) == -5);
}

TEST_CASE("step: texts of every operand and of what is none") {
  CHECK(to_string(step(StepKind::add, c(-3))) == "add -3");
  CHECK(to_string(step(StepKind::fadd, f(0.5F))) == "fadd 0.5");
  CHECK(to_string(step(StepKind::clamp, arg("clamp_min"), c(9))) == "clamp clamp_min 9");
  CHECK(to_string(resize(kInt8)) == "resize int8 saturate");
  CHECK(to_string(StepProgram{{step(StepKind::add, c(1)), step(StepKind::to_f32)}, false}) ==
        "add 1\nto_f32\n");
  const Operand unknown{static_cast<Operand::Kind>(9), 0, 0, {}};
  CHECK(to_string(step(StepKind::add, unknown)) == "add ?");
  CHECK(to_string(static_cast<StepKind>(99)) == "?");
}

TEST_CASE("step: which take and which give a real") {
  for (const StepKind kind : {StepKind::shl, StepKind::shr, StepKind::mul, StepKind::add,
                              StepKind::sub, StepKind::div, StepKind::resize, StepKind::clamp}) {
    CHECK_FALSE(takes_real(kind));
    CHECK_FALSE(gives_real(kind));
  }
  for (const StepKind kind :
       {StepKind::fadd, StepKind::fsub, StepKind::fmul, StepKind::fdiv, StepKind::fclamp}) {
    CHECK(takes_real(kind));
    CHECK(gives_real(kind));
  }
  for (const StepKind kind : {StepKind::to_f32, StepKind::to_f64}) {
    CHECK_FALSE(takes_real(kind));
    CHECK(gives_real(kind));
  }
  CHECK(takes_real(StepKind::round));
  CHECK_FALSE(gives_real(StepKind::round));
}

TEST_CASE("requantizer: fused multiplication and addition rounds once") {
  Events events;
  const Requantizer fused({{step(StepKind::to_f32), step(StepKind::fmul, f(1 + 0x1p-23F), f(-1)),
                            step(StepKind::fmul, f(0x1p23F)), step(StepKind::round)},
                           false},
                          {}, IntType{64, true});
  // (2^23 + 1)(1 + 2^-23) - 1 = 2^23 + 1 + 2^-23, times 2^23: 2^46 + 2^23 after one rounding.
  CHECK(fused.apply((1 << 23) + 1, 0, events) == (int64_t{1} << 46) + (int64_t{1} << 23));
}

TEST_CASE("requantizer: rounding with an addend away from zero") {
  Events events;
  Step round = step(StepKind::round, f(0.5F));
  round.rounding = Rounding::toward_zero;
  const Requantizer r({{round}, true}, {}, kInt8);
  CHECK(r.apply_real(2.5F, 0, events) == 3);
  CHECK(r.apply_real(-2.5F, 0, events) == -3);
  CHECK(r.apply_real(2.4F, 0, events) == 2);
  CHECK(r.apply_real(0x1.fffffep-2F, 0, events) == 1);  // the sum rounds up to 1
  const std::vector<TracedStep> trace = r.trace_real(2.5F, 0);
  REQUIRE(trace.size() == 1);
  CHECK(trace[0].step == "round 0.5 toward_zero");
  CHECK(trace[0].integer == 3);
}

TEST_CASE("requantizer: float64 steps, refused out of range") {
  Events events;
  const auto through = [&](std::vector<Step> steps, int64_t acc) {
    steps.insert(steps.begin(), step(StepKind::to_f64));
    steps.push_back(step(StepKind::round));
    return Requantizer({std::move(steps), false}, {}, IntType{64, true}).apply(acc, 0, events);
  };
  CHECK(through({}, 16777217) == 16777217);
  CHECK(through({step(StepKind::fsub, f(0.5F))}, 16777219) == 16777218);
  CHECK(through({step(StepKind::fmul, f(0.5F), f(1))}, 16777217) == 8388610);  // 8388609.5, even
  CHECK_THROWS_AS(through({step(StepKind::fmul, f(0x1p40F))}, int64_t{1} << 40), Error);
  CHECK_THROWS_AS(through({step(StepKind::fmul, f(-0x1p40F))}, int64_t{1} << 40), Error);
}

TEST_CASE("programs: TOSA's apply_scale_16 at its ends") {
  Events events;
  Arguments a;
  a.integers = {{"multiplier", {16384}}, {"shift", {15}}};
  const Requantizer r(programs::tosa_apply_scale_16(), a, kInt32);
  CHECK(r.apply(3, 0, events) == 2);  // 1.5, half up
  CHECK(r.apply(-3, 0, events) == -1);
  CHECK(r.apply(int64_t{INT32_MAX} * 2, 0, events) == INT32_MAX);
  CHECK_THROWS_AS(r.apply(int64_t{INT32_MAX} * 2 + 1, 0, events), Error);
  a.integers["shift"] = {62};
  const Requantizer small(programs::tosa_apply_scale_16(), a, kInt32);
  CHECK(small.apply((int64_t{1} << 47) - 1, 0, events) == 0);  // just under a half
  CHECK_THROWS_AS(small.apply(int64_t{1} << 47, 0, events), Error);
}

TEST_CASE("requantizer: a result outside the output on either side is refused") {
  Events events;
  const Requantizer r({{step(StepKind::add, c(0))}, false}, {}, kInt8);
  CHECK(r.apply(127, 0, events) == 127);
  CHECK(r.apply(-128, 0, events) == -128);
  CHECK_THROWS_AS(r.apply(128, 0, events), Error);
  CHECK_THROWS_AS(r.apply(-129, 0, events), Error);
}

}  // namespace
}  // namespace facsim::sim
