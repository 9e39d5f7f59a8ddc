// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/recurrent.h"

#include "backends/lower/activations.h"
#include "backends/lower/requantize-internal.h"
#include "sim/core/error.h"
#include "sim/requantize/programs.h"

namespace facsim::backends {

namespace {

/// CMSIS-NN's 64-bit accumulator and its requantization.
sim::Requantizer lstm_sum_of_64_bits(const GivenMultiplier& given) {
  if (given.multiplier.size() != 1) {
    throw Error({ErrorCode::bad_value, "lstm",
                 std::to_string(given.multiplier.size()) + " multipliers", "one for each product",
                 ""});
  }
  quant::MultiplierSpec spec;
  spec.reduce_to_bits = 16;
  const quant::Multiplier reduced = quant::reduce_multiplier(
      {given.multiplier.front(), static_cast<int>(given.shift.front())}, spec);
  // The program's second shift is 1.
  if (reduced.shift < 1 || reduced.shift > 63) {
    throw Error({ErrorCode::unsupported, "lstm",
                 "right shift " + std::to_string(given.shift.front()), "17..79", ""});
  }
  sim::Arguments arguments;
  arguments.integers = {{"multiplier", {reduced.multiplier}},
                        {"shift", {reduced.shift - 1}},
                        {"zero_point", {0}},
                        {"clamp_min", {INT32_MIN}},
                        {"clamp_max", {INT32_MAX}}};
  return sim::Requantizer(sim::programs::fixed_point_int64_narrowing(sim::kInt32),
                          std::move(arguments), sim::kInt32);
}

}  // namespace

std::shared_ptr<const sim::Op> make_svdf(const Profile& profile, GivenSvdf given) {
  const OpRules& rules = profile.rules_for("svdf", given.input_type);
  detail::require_type("input", given.input_type, rules.activation_types);
  detail::require_type("output", given.output.output, rules.activation_types);
  sim::SvdfParams params;
  params.input_type = given.input_type;
  params.input_zero_point = given.input_zero_point;
  params.state_zero_point = given.state.zero_point;
  params.rank = given.rank;
  params.feature_weights = std::move(given.feature_weights);
  params.time_weights = std::move(given.time_weights);
  params.bias = std::move(given.bias);
  params.accumulator = rules.accumulator;
  params.state = make_requantizer(rules, given.state);
  params.output = make_requantizer(rules, given.output);
  return std::make_shared<sim::Svdf>(std::move(params));
}

std::shared_ptr<const sim::Op> make_lstm(const Profile& profile, GivenLstm given) {
  const OpRules& rules = profile.rules_for("lstm", given.type);
  detail::require_type("input", given.type, rules.activation_types);
  if (rules.algorithm != "cmsis.lstm") {
    throw Error({ErrorCode::unsupported, "lstm", "algorithm \"" + rules.algorithm + "\"",
                 "cmsis.lstm", ""});
  }
  const bool wide = given.type.bits > 8;
  const auto gate = [&](GivenLstmGate& own) {
    for (const GivenMultiplier* multiplier : {&own.input, &own.hidden}) {
      detail::check_given(rules, *multiplier);
    }
    const auto sum = [&](const GivenMultiplier& multiplier) {
      return wide ? lstm_sum_of_64_bits(multiplier) : detail::scale_program(rules, multiplier);
    };
    return sim::LstmGate{std::move(own.input_weights), std::move(own.hidden_weights),
                         std::move(own.bias), sum(own.input), sum(own.hidden)};
  };
  sim::LstmParams params;
  params.type = given.type;
  params.input_zero_point = given.input_zero_point;
  params.output_zero_point = given.output.zero_point;
  params.input_gate = gate(given.input_gate);
  params.forget_gate = gate(given.forget_gate);
  params.cell_gate = gate(given.cell_gate);
  params.output_gate = gate(given.output_gate);
  params.cell_scale_power = given.cell_scale_power;
  params.cell_clip = given.cell_clip;
  params.accumulator = rules.accumulator;
  if (wide) params.accumulator.bits = 64;
  params.forget_to_cell = detail::scale_program(rules, given.forget_to_cell);
  params.input_to_cell = detail::scale_program(rules, given.input_to_cell);
  given.output.output = given.type;
  given.output.clamp = detail::whole_range(given.type);
  params.output = make_requantizer(rules, given.output);
  return std::make_shared<sim::Lstm>(std::move(params));
}

}  // namespace facsim::backends
