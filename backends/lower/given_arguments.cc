// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/given_arguments.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "backends/lower/requantize-internal.h"
#include "backends/profile/algorithms-internal.h"
#include "backends/profile/variants-internal.h"
#include "sim/core/error.h"
#include "sim/requantize/range.h"

namespace facsim::backends {

namespace {

using detail::LayerValues;
using sim::Operand;

/// Ops without accumulators, and what they do.
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kWithoutAccumulators{{
    {"minimum", "compares codes and takes the smaller"},
    {"maximum", "compares codes and takes the larger"},
    {"max_pool2d", "takes the largest code of each window"},
    {"pad", "puts a code around the image"},
    {"slice", "moves codes as they are"},
    {"transpose", "moves codes as they are"},
    {"reshape", "moves codes as they are"},
    {"lut", "looks each code up in the layer's table"},
    {"quantize", "makes codes of real numbers"},
    {"dequantize", "makes real numbers of codes"},
    {"dynamic_quantize", "makes codes of real numbers by their own range"},
}};

/// Names of all arguments in a program.
std::vector<std::string> argument_names(const sim::StepProgram& program) {
  std::set<std::string> names;
  for (const sim::Step& step : program.steps) {
    for (const Operand* operand : {&step.a, &step.b}) {
      if (operand->kind == Operand::Kind::argument) names.insert(operand->argument);
    }
  }
  return {names.begin(), names.end()};
}

/// Arguments that the caller gives by name are constants to the binder, which does not know them.
sim::StepProgram without(const sim::StepProgram& program, const GivenArguments& given) {
  sim::StepProgram rest = program;
  for (sim::Step& step : rest.steps) {
    for (Operand* operand : {&step.a, &step.b}) {
      if (operand->kind != Operand::Kind::argument) continue;
      const std::string& name = operand->argument;
      if (!given.integers.contains(name) && !given.reals.contains(name)) continue;
      const bool shifts = step.kind == sim::StepKind::shl || step.kind == sim::StepKind::shr;
      *operand =
          sim::takes_real(step.kind) ? Operand::constant_f32(1) : Operand::constant(shifts ? 0 : 1);
    }
  }
  return rest;
}

/// Integers that a float32 step takes, half_even.
std::vector<float> to_reals(const std::vector<int64_t>& values) {
  std::vector<float> reals(values.size());
  std::transform(values.begin(), values.end(), reals.begin(),
                 [](int64_t value) { return static_cast<float>(value); });
  return reals;
}

/// Replaces the binder's per-tensor value by one per row.
void set_rows(sim::Arguments& arguments, const std::string& name,
              const std::vector<int64_t>& values) {
  if (const auto found = arguments.integers.find(name); found != arguments.integers.end()) {
    found->second = values;
  }
  if (const auto found = arguments.reals.find(name); found != arguments.reals.end()) {
    found->second = to_reals(values);
  }
}

std::vector<int64_t> minus_zero_points(const std::vector<int64_t>& bounds,
                                       const std::vector<int64_t>& zero_points) {
  std::vector<int64_t> difference(std::max(bounds.size(), zero_points.size()));
  for (size_t i = 0; i < difference.size(); ++i) {
    difference[i] = detail::minus_zero_point(bounds[bounds.size() == 1 ? 0 : i],
                                             zero_points[zero_points.size() == 1 ? 0 : i]);
  }
  return difference;
}

/// True if the rows' biases are added to the accumulators: integer biases that no step names.
bool adds_bias(const sim::StepProgram& program, const OpRules& rules, const GivenArguments& given) {
  const std::vector<std::string> names = argument_names(program);
  return rules.bias.kind == BiasSpec::Kind::integer && given.integers.contains("bias") &&
         std::find(names.begin(), names.end(), "bias") == names.end();
}

bool used_as_real(const sim::StepProgram& program, const std::string& name) {
  return std::any_of(program.steps.begin(), program.steps.end(), [&](const sim::Step& step) {
    return sim::takes_real(step.kind) &&
           (step.a == Operand::arg(name) || step.b == Operand::arg(name));
  });
}

void check_names(const sim::StepProgram& program, const GivenArguments& given) {
  const std::vector<std::string> names = argument_names(program);
  const auto check = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    throw Error({ErrorCode::bad_value, "argument \"" + name + "\"", "not used by the program",
                 fmt::format("one of {}", fmt::join(names, ", ")), ""});
  };
  for (const auto& [name, values] : given.integers) check(name);
  for (const auto& [name, values] : given.reals) check(name);
}

/// Every list has one entry, or as many as the longest.
void check_lengths(const GivenArguments& given) {
  std::map<std::string, size_t> lengths = {{"multiplier", given.multiplier.size()},
                                           {"shift", given.shift.size()},
                                           {"scale", given.scale.size()},
                                           {"zero_point", given.zero_point.size()},
                                           {"input_scale", given.input_scale.size()},
                                           {"weight_scale", given.weight_scale.size()},
                                           {"output_scale", given.output_scale.size()},
                                           {"clamp_min", given.clamp_min.size()},
                                           {"clamp_max", given.clamp_max.size()}};
  for (const auto& [name, values] : given.integers) lengths[name] = values.size();
  for (const auto& [name, values] : given.reals) lengths[name] = values.size();
  if (given.zero_point.empty()) {
    throw Error({ErrorCode::shape_mismatch, "argument \"zero_point\"", "0 values",
                 "1, or one per row", ""});
  }
  size_t rows = 1;
  for (const auto& [name, length] : lengths) rows = std::max(rows, length);
  for (const auto& [name, length] : lengths) {
    if (length <= 1 || length == rows) continue;
    throw Error({ErrorCode::shape_mismatch, "argument \"" + name + "\"",
                 fmt::format("{} values", length), fmt::format("1 or {}", rows), ""});
  }
}

/// Real multipliers and units of rows that give the three scales, as a layer's are derived.
void set_scales(const OpRules& rules, const GivenArguments& given, LayerValues& values) {
  const size_t rows =
      std::max({given.input_scale.size(), given.weight_scale.size(), given.output_scale.size()});
  const auto at = [&](const std::vector<float>& list, size_t row, const char* name) {
    const float scale = list.empty() ? 0 : list[list.size() == 1 ? 0 : row];
    if (std::isnormal(scale) && scale > 0) return scale;
    throw Error({ErrorCode::bad_value, fmt::format("argument \"{}\"", name),
                 list.empty() ? "0 values" : fmt::format("{}", scale),
                 "a normal float32 number > 0", ""});
  };
  values.accumulator_scale.clear();
  values.real_multiplier.clear();
  const double step = products_per_accumulator_step(rules.accumulator);
  for (size_t row = 0; row < rows; ++row) {
    const float input = at(given.input_scale, row, "input_scale");
    const float weight = at(given.weight_scale, row, "weight_scale");
    const float output = at(given.output_scale, row, "output_scale");
    values.accumulator_scale.push_back(input * weight * static_cast<float>(step));
    values.real_multiplier.push_back(
        step * quant::real_multiplier(input, weight, output, rules.multiplier));
  }
}

/// The output scales of rows, where the program divides by them or multiplies by the reciprocal.
void set_output_scales(sim::Arguments& arguments, const std::vector<float>& scales) {
  if (const auto found = arguments.reals.find("output_scale"); found != arguments.reals.end()) {
    found->second = scales;
  }
  const auto found = arguments.reals.find("output_scale_reciprocal");
  if (found == arguments.reals.end()) return;
  found->second = scales;
  for (float& scale : found->second) scale = 1.0f / scale;
}

void check_codes(std::string_view name, const std::vector<int64_t>& values, sim::IntType type) {
  const std::string place = fmt::format("argument \"{}\"", name);
  for (const int64_t value : values) detail::check_code(place, value, type);
}

/// Rows of one entry hold for all.
void check_clamp(const std::vector<int64_t>& low, const std::vector<int64_t>& high) {
  for (size_t i = 0; i < std::max(low.size(), high.size()); ++i) {
    const int64_t min = low[low.size() == 1 ? 0 : i];
    const int64_t max = high[high.size() == 1 ? 0 : i];
    if (min <= max) continue;
    throw Error({ErrorCode::bad_value, fmt::format("clamp_min[{}]", i), fmt::format("{}", min),
                 fmt::format("at most clamp_max {}", max), ""});
  }
}

/// The largest shift of a 6-bit register, which no step has: 62 does the same to every value below
/// 2^61, whose nearest, lower and higher integers are those of its half.
constexpr int64_t kLastRegisterShift = 63;

/// Cuts register shifts to 62, where the whole shift is one written step; true if there was one.
bool cut_shifts(const OpRules& rules, const sim::StepProgram& program,
                std::vector<int64_t>& shifts) {
  const bool has_constant =
      std::any_of(program.steps.begin(), program.steps.end(), [](const sim::Step& step) {
        const bool is_shift = step.kind == sim::StepKind::shl || step.kind == sim::StepKind::shr;
        return is_shift && step.a.kind == Operand::Kind::integer;
      });
  if (rules.domain != OpRules::Domain::steps || has_constant) return false;
  bool is_cut = false;
  for (int64_t& shift : shifts) {
    is_cut |= shift == kLastRegisterShift;
    if (shift == kLastRegisterShift) shift = kLastRegisterShift - 1;
  }
  return is_cut;
}

/// Error unsupported unless the values before each shift that rows give stay below 2^61.
void require_small_before_shift(const sim::Requantizer& requantizer) {
  const std::vector<sim::Step>& steps = requantizer.program().steps;
  const auto ranges = sim::infer_ranges(requantizer.bound_steps(), requantizer.channels(),
                                        sim::ValueRange::integers(INT64_MIN, INT64_MAX));
  for (size_t i = 1; i < steps.size(); ++i) {
    if (steps[i].kind != sim::StepKind::shr || steps[i].a != Operand::arg("shift")) continue;
    const sim::ValueRange& before = ranges[i - 1];
    constexpr sim::int128 kLimit = sim::int128{1} << 61;
    if (before.bounded && before.min > -kLimit && before.max < kLimit) continue;
    throw Error({ErrorCode::unsupported, "shift", fmt::format("{}", kLastRegisterShift),
                 fmt::format("at most {}", kLastRegisterShift - 1),
                 "the values that are shifted can reach 2^61"});
  }
}

}  // namespace

void require_requantized(const Profile& profile, const Profile::Choice& choice) {
  const std::string op = detail::RulesKey::parse(choice.name).op;
  const auto refuse = [&](std::string_view what) {
    throw Error({ErrorCode::unsupported, "profile " + profile.name,
                 fmt::format("{} does not requantize accumulators: it {}", choice.name, what),
                 "an op that does, such as conv2d or linear", ""});
  };
  const std::string& name = choice.rules->algorithm;
  if (const detail::Algorithm* algorithm = detail::find_algorithm(name)) {
    if (algorithm->requantizes) return;
    refuse(fmt::format("computes {}: {}", name, algorithm->description));
  }
  for (const auto& [word, what] : kWithoutAccumulators) {
    if (word == op) refuse(what);
  }
}

sim::Requantizer make_requantizer(const OpRules& rules, const GivenArguments& given) {
  detail::require_program(rules);
  sim::StepProgram program = detail::program_for(rules, given.output);
  if (adds_bias(program, rules, given)) {
    const sim::Step add = detail::make_step(sim::StepKind::add, Operand::arg("bias"));
    const sim::Step width = {.kind = sim::StepKind::resize,
                             .a = {},
                             .b = {},
                             .type = rules.accumulator.type(),
                             .overflow = rules.accumulator.overflow};
    program.steps.insert(program.steps.begin(), {add, width});
  }
  check_names(program, given);
  check_lengths(given);
  check_codes("zero_point", given.zero_point, given.output);
  check_codes("clamp_min", given.clamp_min, given.output);
  check_codes("clamp_max", given.clamp_max, given.output);

  GivenMultiplier multiplier;
  multiplier.multiplier = given.multiplier;
  multiplier.shift = given.shift;
  const bool is_cut = cut_shifts(rules, program, multiplier.shift);
  multiplier.scale = given.scale;
  multiplier.output = given.output;
  if (multiplier.multiplier.size() == 1) {
    multiplier.multiplier.resize(std::max<size_t>(1, given.shift.size()), given.multiplier[0]);
  }
  detail::check_given(rules, multiplier);
  detail::LayerValues values;
  values.output = given.output;
  values.clamp = detail::whole_range(given.output);
  if (given.folds_zero_points) values.folded_zero_points = given.zero_point;
  if (!given.input_scale.empty()) {
    set_scales(rules, given, values);
  } else if (given.scale.empty()) {
    values.given = &multiplier;
  } else {
    values.accumulator_scale = given.scale;
    values.real_multiplier.assign(given.scale.begin(), given.scale.end());
  }
  sim::Arguments arguments = detail::bind_arguments(without(program, given), rules, values);

  const std::vector<int64_t> low =
      given.clamp_min.empty() ? std::vector<int64_t>{values.clamp.min} : given.clamp_min;
  const std::vector<int64_t> high =
      given.clamp_max.empty() ? std::vector<int64_t>{values.clamp.max} : given.clamp_max;
  check_clamp(low, high);
  if (!given.output_scale.empty()) set_output_scales(arguments, given.output_scale);
  set_rows(arguments, "zero_point", given.zero_point);
  set_rows(arguments, "clamp_min", low);
  set_rows(arguments, "clamp_max", high);
  set_rows(arguments, "clamp_min_minus_zero_point", minus_zero_points(low, given.zero_point));
  set_rows(arguments, "clamp_max_minus_zero_point", minus_zero_points(high, given.zero_point));
  for (const auto& [name, rows] : given.integers) {
    if (used_as_real(program, name)) arguments.reals[name] = to_reals(rows);
    arguments.integers[name] = rows;
  }
  for (const auto& [name, rows] : given.reals) arguments.reals[name] = rows;
  sim::Requantizer requantizer(std::move(program), std::move(arguments), given.output);
  if (is_cut) require_small_before_shift(requantizer);
  return requantizer;
}

}  // namespace facsim::backends
