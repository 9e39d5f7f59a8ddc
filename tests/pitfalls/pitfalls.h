// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "backends/lower/given_arguments.h"
#include "backends/lower/lower.h"
#include "backends/profile/profile.h"
#include "sim/requantize/programs.h"
#include "sim/requantize/requantizer.h"

namespace facsim::pitfalls {

inline constexpr sim::IntType kInt64{64, true};

inline sim::Step step(sim::StepKind kind, sim::Operand a = {},
                      sim::Rounding rounding = sim::Rounding::half_even) {
  return {.kind = kind, .a = std::move(a), .b = {}, .rounding = rounding};
}
inline sim::Step step(sim::StepKind kind, int64_t a,
                      sim::Rounding rounding = sim::Rounding::half_even) {
  return step(kind, sim::Operand::constant(a), rounding);
}
inline sim::Step real_step(sim::StepKind kind, float a) {
  return step(kind, sim::Operand::constant_f32(a));
}
inline sim::Step round_step(sim::Rounding rounding) {
  return step(sim::StepKind::round, sim::Operand{}, rounding);
}

/// One accumulator through a program.
inline int64_t evaluate(sim::StepProgram program, const sim::Arguments& arguments, int64_t acc,
                        sim::IntType output = kInt64) {
  sim::Events events;
  return sim::Requantizer(std::move(program), arguments, output).apply(acc, 0, events);
}
inline int64_t evaluate(std::vector<sim::Step> steps, int64_t acc) {
  return evaluate({std::move(steps), false}, {}, acc);
}
inline int64_t apply_real(std::vector<sim::Step> steps, float value) {
  sim::Events events;
  return sim::Requantizer({std::move(steps), true}, {}, kInt64).apply_real(value, 0, events);
}

/// The arguments of the fixed-point programs; the shift counts as each program says.
inline sim::Arguments fixed_point(int64_t multiplier, int64_t shift, sim::IntType output,
                                  int64_t left_shift = 0) {
  sim::Arguments a;
  a.integers = {{"multiplier", {multiplier}},  {"shift", {shift}},
                {"left_shift", {left_shift}},  {"zero_point", {0}},
                {"clamp_min", {output.min()}}, {"clamp_max", {output.max()}}};
  return a;
}

inline backends::Profile profile(const char* name) {
  return backends::load_profile(name, backends::ProfileSearch::standard());
}

/// One accumulator through a profile's convolution.
inline int64_t requantize(const char* name, const backends::GivenArguments& given, int64_t acc) {
  const backends::Profile loaded = profile(name);
  sim::Events events;
  return backends::make_requantizer(loaded.rules("conv2d"), given).apply(acc, 0, events);
}
inline backends::GivenArguments given_multiplier(int64_t multiplier, int64_t whole_shift) {
  backends::GivenArguments given;
  given.multiplier = {multiplier};
  given.shift = {whole_shift};
  return given;
}
inline backends::GivenArguments given_scale(float scale, int64_t zero_point,
                                            sim::IntType output = sim::kInt8) {
  backends::GivenArguments given;
  given.scale = {scale};
  given.zero_point = {zero_point};
  given.output = output;
  return given;
}

}  // namespace facsim::pitfalls
