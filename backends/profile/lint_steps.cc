// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/lint_steps-internal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "backends/lower/requantize-internal.h"
#include "sim/core/error.h"
#include "sim/requantize/range.h"

namespace facsim::backends::detail {

namespace {

using sim::BoundStep;
using sim::Operand;
using sim::Step;
using sim::ValueRange;

/// One choice of the values that a layer brings.
struct LayerCandidate {
  int64_t multiplier = 1;
  int shift = 0;  ///< whole
  int64_t zero_point = 0;
  bool has_multiplier = false;
};

bool names_argument(const sim::StepProgram& program, std::string_view name) {
  return std::any_of(program.steps.begin(), program.steps.end(), [&](const Step& step) {
    return step.a.argument == name || step.b.argument == name;
  });
}

std::vector<int64_t> multipliers_of(const OpRules& rules) {
  if (!names_argument(rules.requantize, "multiplier")) return {1};
  const int fraction_bits = rules.multiplier.fraction_bits > 0 ? rules.multiplier.fraction_bits
                                                               : rules.multiplier.bits - 1;
  const int64_t largest = (int64_t{1} << fraction_bits) - 1;
  return {int64_t{1} << (fraction_bits - 1), std::max<int64_t>(largest, 1)};
}

std::vector<LayerCandidate> candidates_of(const OpRules& rules) {
  const sim::IntType output = rules.output_types.front();
  std::vector<int64_t> zero_points = {0};
  if (rules.activation.zero_point == quant::TensorSpec::ZeroPoint::any) {
    zero_points = {output.min(), output.max()};
  }
  const bool scales = names_argument(rules.requantize, "multiplier") ||
                      names_argument(rules.requantize, "shift") ||
                      names_argument(rules.requantize, "left_shift");
  std::vector<LayerCandidate> candidates;
  for (int shift = rules.min_shift; shift <= rules.max_shift; ++shift) {
    for (const int64_t multiplier : multipliers_of(rules)) {
      for (const int64_t zero_point : zero_points) {
        candidates.push_back({multiplier, shift, zero_point, scales});
      }
    }
  }
  return candidates;
}

template <class T>
sim::PerChannel<T> operand_value(const Operand& operand, T constant,
                                 const std::map<std::string, std::vector<T>, std::less<>>& values) {
  if (operand.kind == Operand::Kind::none) return {};
  if (operand.kind != Operand::Kind::argument) return sim::PerChannel<T>({constant});
  return sim::PerChannel<T>(values.at(operand.argument));
}

/// The program with the candidate's values; nothing if the profile refuses such a layer.
std::optional<std::vector<BoundStep>> bound_steps(const OpRules& rules,
                                                  const LayerCandidate& candidate) {
  GivenMultiplier given;
  given.multiplier = {candidate.multiplier};
  given.shift = {candidate.shift};
  LayerValues values;
  values.output = rules.output_types.front();
  values.zero_point = candidate.zero_point;
  values.clamp = whole_range(values.output);
  values.real_multiplier = {std::ldexp(1.0, -candidate.shift)};
  values.output_scale = std::ldexp(1.0f, candidate.shift);
  if (candidate.has_multiplier) values.given = &given;
  sim::Arguments arguments;
  try {
    arguments = bind_arguments(rules.requantize, rules, values);
  } catch (const Error&) {
    return std::nullopt;
  }
  std::vector<BoundStep> steps;
  for (const Step& step : rules.requantize.steps) {
    BoundStep bound{step.kind, step.rounding, step.type, step.overflow, {}, {}, {}, {}};
    if (sim::takes_real(step.kind)) {
      bound.real_a = operand_value(step.a, step.a.real, arguments.reals);
      bound.real_b = operand_value(step.b, step.b.real, arguments.reals);
    } else {
      bound.a = operand_value(step.a, step.a.integer, arguments.integers);
      bound.b = operand_value(step.b, step.b.integer, arguments.integers);
    }
    steps.push_back(std::move(bound));
  }
  return steps;
}

struct ProblemPlace {
  StepProblem::Kind kind;
  size_t step;
};

/// The first step that some value of `input` cannot take.
std::optional<ProblemPlace> first_problem(const std::vector<BoundStep>& steps, sim::IntType output,
                                          ValueRange input) {
  const std::vector<ValueRange> ranges = sim::infer_ranges(steps, 1, input);
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (!ranges[i].is_real && !ranges[i].bounded)
      return ProblemPlace{StepProblem::Kind::inexact, i};
    if (ranges[i].may_throw) return ProblemPlace{StepProblem::Kind::refused, i};
  }
  const ValueRange& last = ranges.back();
  if (!last.is_real && (last.min < output.min() || last.max > output.max())) {
    return ProblemPlace{StepProblem::Kind::outside, ranges.size() - 1};
  }
  return std::nullopt;
}

/// The accumulator nearest to 0 on the side of `sign` that has a problem. The ranges of [0, a] grow
/// with a, so a search by halves finds it; the point is checked by itself, because a wrap makes
/// ranges wider than what they hold.
std::optional<std::pair<int64_t, ProblemPlace>> smallest_problem(
    const std::vector<BoundStep>& steps, const OpRules& rules, int sign) {
  const sim::IntType output = rules.output_types.front();
  const auto problem = [&](int64_t magnitude) {
    const int64_t acc = sign * magnitude;
    return first_problem(
        steps, output, ValueRange::integers(std::min<int64_t>(acc, 0), std::max<int64_t>(acc, 0)));
  };
  int64_t high = sign > 0 ? rules.accumulator.max() : -(rules.accumulator.min() + 1);
  if (!problem(high)) return std::nullopt;
  int64_t low = -1;  // no problem
  while (low < high - 1) {
    const int64_t middle = std::midpoint(low, high);
    (problem(middle) ? high : low) = middle;
  }
  const int64_t acc = sign * high;
  const auto at = first_problem(steps, output, ValueRange::integers(acc, acc));
  if (!at) return std::nullopt;
  return std::pair{acc, *at};
}

std::string describe_problem(const OpRules& rules, const LayerCandidate& candidate, int64_t acc,
                             const ProblemPlace& place) {
  std::string with;
  if (candidate.has_multiplier && names_argument(rules.requantize, "multiplier")) {
    with += fmt::format(", multiplier {}", candidate.multiplier);
  }
  with += candidate.has_multiplier ? fmt::format(", whole shift {}", candidate.shift)
                                   : fmt::format(", scale 2^{}", -candidate.shift);
  with += fmt::format(", zero point {}", candidate.zero_point);
  const std::string what = place.kind == StepProblem::Kind::inexact ? "passes 126 bits"
                           : place.kind == StepProblem::Kind::refused
                               ? "stops the run"
                               : "is no code of " + sim::to_string(rules.output_types.front());
  return fmt::format("step {} ({}): accumulator {}{} {}", place.step,
                     sim::to_string(rules.requantize.steps[place.step]), acc, with, what);
}

}  // namespace

std::vector<StepProblem> find_step_problems(const OpRules& rules) {
  struct Found {
    int64_t acc;
    StepProblem problem;
  };
  std::map<StepProblem::Kind, Found> found;
  for (const LayerCandidate& candidate : candidates_of(rules)) {
    const auto steps = bound_steps(rules, candidate);
    if (!steps || steps->empty()) continue;
    for (const int sign : {1, -1}) {
      const auto problem = smallest_problem(*steps, rules, sign);
      if (!problem) continue;
      const auto [acc, place] = *problem;
      const auto known = found.find(place.kind);
      if (known != found.end() && std::abs(known->second.acc) <= std::abs(acc)) continue;
      found.insert_or_assign(
          place.kind,
          Found{acc, {place.kind, place.step, describe_problem(rules, candidate, acc, place)}});
    }
  }
  std::vector<StepProblem> problems;
  for (auto& [kind, one] : found) problems.push_back(std::move(one.problem));
  return problems;
}

}  // namespace facsim::backends::detail
