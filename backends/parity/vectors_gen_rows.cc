// SPDX-License-Identifier: Apache-2.0
// Rows of a bare requantization: an accumulator with its scale, zero point and clamp each.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/lower/given_arguments.h"
#include "backends/parity/vectors_gen_suite-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

Tensor integer_list(const std::vector<int64_t>& values, DType dtype) {
  Tensor tensor(dtype, {static_cast<int64_t>(values.size())});
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.set_int(i, values[static_cast<size_t>(i)]);
  return tensor;
}

GivenArguments given_of(const GeneratedCase& made) {
  const auto list = [&](std::string_view role) {
    const Tensor& t = member(made.arrays, role, made.name);
    std::vector<int64_t> values;
    for (int64_t i = 0; i < t.numel(); ++i) values.push_back(t.int_at(i));
    return values;
  };
  GivenArguments given;
  const auto scale = member(made.arrays, "scale", made.name).values<float>();
  given.scale.assign(scale.begin(), scale.end());
  given.zero_point = list("zero_point");
  given.clamp_min = list("clamp_min");
  given.clamp_max = list("clamp_max");
  given.output = made.output_type;
  return given;
}

/// One row's parameters.
struct RequantizeRow {
  float scale = 1;
  int64_t zero_point = 0, clamp_min = 0, clamp_max = 0;
};

RequantizeRow random_row(const OpRules& rules, sim::IntType output, VectorDice& dice,
                         VectorStrategy strategy) {
  RequantizeRow row;
  const auto spread = static_cast<float>(output.bits - 8);
  row.scale = dice.magnitude(-14, -1) * std::exp2(spread);
  if (strategy == VectorStrategy::ties) {
    row.scale = std::ldexp(static_cast<float>(dice.pick({1, 1, 3, 5, 7, 9})),
                           static_cast<int>(dice.between(-12, -2)));
  }
  if (strategy == VectorStrategy::overflow) row.scale = dice.magnitude(-1, 14);
  const bool power_of_two = rules.domain == OpRules::Domain::shift ||
                            rules.activation.scale != quant::TensorSpec::Scale::any;
  if (power_of_two) row.scale = std::ldexp(1.0f, std::ilogb(row.scale));
  const int64_t middle = output.is_signed ? 0 : (output.max() + 1) / 2;
  row.zero_point =
      dice.pick({middle, output.min(), output.max(), dice.between(output.min(), output.max())});
  if (rules.activation.zero_point == quant::TensorSpec::ZeroPoint::zero) row.zero_point = 0;
  row.clamp_min = output.min();
  row.clamp_max = output.max();
  if (dice.one_in(3)) row.clamp_min = row.zero_point;
  if (strategy == VectorStrategy::edges && dice.one_in(3)) {
    row.clamp_max = dice.between(row.clamp_min, output.max());
  }
  return row;
}

std::vector<float> one_scale(float scale) { return {scale}; }

/// The program of one row; nothing if the profile does not take its scale.
std::optional<sim::Requantizer> row_program(const OpRules& rules, sim::IntType output,
                                            const RequantizeRow& row) {
  GivenArguments given;
  given.scale = one_scale(row.scale);
  given.zero_point = {row.zero_point};
  given.clamp_min = {row.clamp_min};
  given.clamp_max = {row.clamp_max};
  given.output = output;
  try {
    return make_requantizer(rules, given);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

Tensor compute_rows(const GeneratedCase& made, const OpRules& rules) {
  const Tensor& accumulators = member(made.arrays, "accumulator", made.name);
  const sim::Requantizer requantize = make_requantizer(rules, given_of(made));
  Tensor output(made.output_type.storage(), accumulators.shape());
  sim::Events events;
  for (int64_t i = 0; i < output.numel(); ++i) {
    output.set_int(i, requantize.apply(accumulators.int_at(i), i, events));
  }
  return output;
}

GeneratedCase requantize_case(const Profile::Choice& choice, VectorDice& dice,
                              VectorStrategy strategy, std::string name) {
  const OpRules& rules = *choice.rules;
  const sim::IntType acc = rules.accumulator.type();
  GeneratedCase made;
  made.name = std::move(name);
  made.op = "requantize_accumulator";
  made.family = choice.name;
  made.strategy = strategy;
  made.output_type = choice.output;
  std::vector<int64_t> accumulators, zero_point, clamp_min, clamp_max;
  std::vector<float> scale;
  constexpr int kRows = 16;
  for (int tries = 0, rows = 0; rows < kRows && tries < 8 * kRows; ++tries) {
    const RequantizeRow row = random_row(rules, choice.output, dice, strategy);
    const auto program = row_program(rules, choice.output, row);
    if (!program) continue;
    ++rows;
    for (const int64_t value :
         steered_accumulators(*program, 0, strategy, acc.min(), acc.max(), dice)) {
      sim::Events events;
      try {
        program->apply(value, 0, events);
      } catch (const Error&) {
        continue;  // undefined under the profile: not a vector
      }
      accumulators.push_back(value);
      scale.push_back(row.scale);
      zero_point.push_back(row.zero_point);
      clamp_min.push_back(row.clamp_min);
      clamp_max.push_back(row.clamp_max);
    }
  }
  if (accumulators.empty()) {
    const RequantizeRow row = random_row(rules, choice.output, dice, VectorStrategy::random);
    GivenArguments given;
    given.scale = one_scale(row.scale);
    given.output = choice.output;
    make_requantizer(rules, given);  // says why
    throw Error({ErrorCode::unsupported, "op " + choice.name,
                 fmt::format("no accumulators for strategy {}", to_string(strategy)), "", ""});
  }
  const bool wide = acc.bits > 32;
  made.arrays = {{"accumulator", integer_list(accumulators, wide ? DType::int64 : DType::int32)},
                 {"scale", Tensor::from<float>({static_cast<int64_t>(scale.size())}, scale)},
                 {"zero_point", integer_list(zero_point, DType::int64)},
                 {"clamp_min", integer_list(clamp_min, DType::int64)},
                 {"clamp_max", integer_list(clamp_max, DType::int64)}};
  made.golden = compute_rows(made, rules);
  // What the profile derives from the scale, for readers that have multipliers and shifts.
  const sim::Requantizer derived = make_requantizer(rules, given_of(made));
  for (const std::string argument : {"multiplier", "shift", "left_shift"}) {
    const auto found = derived.arguments().integers.find(argument);
    if (found == derived.arguments().integers.end()) continue;
    made.arrays.emplace_back("derived_" + argument, integer_list(found->second, DType::int64));
  }
  return made;
}

void observe_rows(CoverageCounter& coverage, const GeneratedCase& made, const OpRules& rules) {
  const Tensor& accumulators = member(made.arrays, "accumulator", made.name);
  const sim::Requantizer requantize = make_requantizer(rules, given_of(made));
  const sim::IntType acc = rules.accumulator.type();
  coverage.declare("requantize", requantize, acc.min(), acc.max());
  for (int64_t i = 0; i < accumulators.numel(); ++i) {
    coverage.observe("requantize", requantize, accumulators.int_at(i),
                     requantize.channels() == 1 ? 0 : i);
  }
}

}  // namespace facsim::backends::detail
