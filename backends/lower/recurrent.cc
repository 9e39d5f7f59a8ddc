// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/recurrent.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/lower/activations.h"
#include "backends/lower/node-internal.h"
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

namespace facsim::backends::detail {

namespace {

/// The multiplier of s_a * s_b / s_out by the op's derivation.
GivenMultiplier derived_multiplier(const OpRules& rules, float a, float b, float out) {
  const quant::Multiplier derived = quant::derive_multiplier(
      quant::real_multiplier(a, b, out, rules.multiplier), rules.multiplier);
  GivenMultiplier given;
  given.multiplier = {derived.multiplier};
  given.shift = {derived.shift};
  return given;
}

/// The same, to codes of `out`, over the whole range of its type.
GivenMultiplier multiplier_to(const OpRules& rules, float a, float b, const quant::QParams& out) {
  GivenMultiplier given = derived_multiplier(rules, a, b, out.scale.front());
  given.zero_point = out.zero_point.front();
  given.output = out.type;
  given.clamp = whole_range(out.type);
  return given;
}

float scale_of_weights(const NodeView& node, size_t input) {
  const quant::QParams& weights = node.qparams(input);
  if (weights.per_channel() || weights.zero_point.front() != 0) {
    throw Error({ErrorCode::unsupported, "weights", "a scale per channel or a zero point",
                 "one scale, zero point 0", ""});
  }
  return weights.scale.front();
}

const quant::QParams& state_of(const NodeView& node) {
  if (!node.attributes().state || node.attributes().state->per_channel()) {
    throw Error({ErrorCode::missing_key, "state", "no single scale", "its quantization", ""});
  }
  return *node.attributes().state;
}

}  // namespace

/// TFLite Micro svdf_common.cc: state = x * features, y = state * time + bias. A fused ReLU is in
/// the output's zero point there; nothing else cuts.
std::shared_ptr<const sim::Op> lower_node_svdf(const NodeView& node) {
  const quant::QParams& input = node.qparams(0);
  const quant::QParams& state = state_of(node);
  const OpRules& rules = node.profile().rules_for("svdf", input.type);
  GivenSvdf given;
  given.input_type = input.type;
  given.input_zero_point = input.zero_point.front();
  given.rank = node.attributes().rank;
  given.feature_weights = node.constant(1);
  given.time_weights = node.constant(2);
  if (node.input_count() > 3) given.bias = node.constant(3);
  given.state = multiplier_to(rules, input.scale.front(), scale_of_weights(node, 1), state);
  given.output =
      multiplier_to(rules, state.scale.front(), scale_of_weights(node, 2), node.output());
  return make_svdf(node.profile(), std::move(given));
}

/// TFLite Micro lstm_eval_common.cc: gates in Q3.12, their activations in Q0.15.
std::shared_ptr<const sim::Op> lower_node_lstm(const NodeView& node) {
  constexpr float kGate = 0x1p-12f, kActivated = 0x1p-15f;
  const quant::QParams& input = node.qparams(0);
  const quant::QParams& output = node.output();
  const quant::QParams& cell = state_of(node);
  const OpRules& rules = node.profile().rules_for("lstm", input.type);
  const float cell_scale = cell.scale.front();
  int exponent = 0;
  if (std::frexp(cell_scale, &exponent) != 0.5f || cell.zero_point.front() != 0 ||
      cell.type != sim::kInt16) {
    throw Error({ErrorCode::unsupported, "lstm cell",
                 fmt::format("{}, scale {}, zero point {}", sim::to_string(cell.type), cell_scale,
                             cell.zero_point.front()),
                 "int16, a power of two, 0", ""});
  }
  const float clip = node.attributes().cell_clip;
  if (!(clip > 0) || output.type != input.type) {
    throw Error({ErrorCode::unsupported, "lstm",
                 fmt::format("cell_clip {}, input {}, output {}", clip, sim::to_string(input.type),
                             sim::to_string(output.type)),
                 "a clip above 0 and equal types",
                 "kernels disagree about what a clip of 0 means"});
  }
  const auto gate = [&](size_t which) {
    GivenLstmGate own;
    own.input_weights = node.constant(1 + which);
    own.hidden_weights = node.constant(5 + which);
    own.bias = node.constant(9 + which);
    own.input =
        derived_multiplier(rules, input.scale.front(), scale_of_weights(node, 1 + which), kGate);
    own.hidden =
        derived_multiplier(rules, output.scale.front(), scale_of_weights(node, 5 + which), kGate);
    return own;
  };
  GivenLstm given;
  given.type = input.type;
  given.input_zero_point = input.zero_point.front();
  given.input_gate = gate(0);
  given.forget_gate = gate(1);
  given.cell_gate = gate(2);
  given.output_gate = gate(3);
  given.cell_scale_power = exponent - 1;
  given.cell_clip = static_cast<int64_t>(
      std::min(static_cast<double>(clip) / static_cast<double>(cell_scale), 32767.0));
  given.forget_to_cell = derived_multiplier(rules, kActivated, cell_scale, cell_scale);
  given.input_to_cell = derived_multiplier(rules, kActivated, kActivated, cell_scale);
  given.output = derived_multiplier(rules, kActivated, kActivated, output.scale.front());
  given.output.zero_point = output.zero_point.front();
  return make_lstm(node.profile(), std::move(given));
}

}  // namespace facsim::backends::detail
