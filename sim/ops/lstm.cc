// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/lstm.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/error.h"
#include "sim/ops/accumulate.h"
#include "sim/ops/conv2d_check-internal.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/recurrent-internal.h"
#include "sim/ops/scale_program-internal.h"
#include "sim/ops/sigmoid.h"

namespace facsim::sim {

namespace {

int64_t saturate_to_16_bits(int64_t value) {
  return std::clamp<int64_t>(value, INT16_MIN, INT16_MAX);
}

}  // namespace

/// What one image carries from step to step, and what the last step computed.
struct Lstm::State {
  std::vector<int32_t> x;        ///< [I] centred codes of this step
  std::vector<int32_t> hidden;   ///< [H] centred codes of the step before
  std::vector<int64_t> cell;     ///< [H]
  std::vector<int64_t> product;  ///< [H] what the output program takes
  std::vector<int64_t> y;        ///< [H] codes
  bool count_events = false;
};

Lstm::Lstm(LstmParams params) : params_(std::move(params)) {
  if (params_.type != kInt8 && params_.type != kInt16) {
    throw Error({ErrorCode::unsupported, "lstm", to_string(params_.type), "int8 or int16", ""});
  }
  detail::check_matrix("lstm", "input_gate input_weights", params_.input_gate.input_weights,
                       {kInt8});
  const Shape input_shape{hidden_size(), input_size()};
  const Shape hidden_shape{hidden_size(), hidden_size()};
  const auto prepare = [&](const char* name, const LstmGate& gate, Weights& weights) {
    const auto check = [&](const char* role, const Tensor& matrix, const Shape& expected) {
      const std::string place = fmt::format("{} {}", name, role);
      detail::check_matrix("lstm", place, matrix, {kInt8});
      if (matrix.shape() == expected) return;
      throw Error({ErrorCode::shape_mismatch, "lstm " + place, to_string(matrix.shape()),
                   to_string(expected), ""});
    };
    check("input_weights", gate.input_weights, input_shape);
    check("hidden_weights", gate.hidden_weights, hidden_shape);
    detail::check_vector("lstm", fmt::format("{} bias", name), gate.bias, hidden_size(),
                         {kInt32, {64, true}});
    detail::check_scale_program("lstm", fmt::format("{} input", name), gate.input);
    detail::check_scale_program("lstm", fmt::format("{} hidden", name), gate.hidden);
    weights = {detail::widened(gate.input_weights), detail::widened(gate.hidden_weights)};
  };
  prepare("input_gate", params_.input_gate, input_gate_);
  prepare("forget_gate", params_.forget_gate, forget_gate_);
  prepare("cell_gate", params_.cell_gate, cell_gate_);
  prepare("output_gate", params_.output_gate, output_gate_);
  detail::check_scale_program("lstm", "forget_to_cell", params_.forget_to_cell);
  detail::check_scale_program("lstm", "input_to_cell", params_.input_to_cell);
  detail::check_scale_program("lstm", "output", params_.output, params_.type);
  detail::check_zero_point("lstm", "input_zero_point", params_.input_zero_point, params_.type);
  detail::check_zero_point("lstm", "output_zero_point", params_.output_zero_point, params_.type);
  const auto require = [](bool ok, const char* field, int64_t found, const char* expected) {
    if (ok) return;
    throw Error({ErrorCode::bad_value, fmt::format("lstm {}", field), fmt::format("{}", found),
                 expected, ""});
  };
  require(params_.cell_scale_power >= -31 && params_.cell_scale_power <= 0, "cell_scale_power",
          params_.cell_scale_power, "-31..0");
  require(params_.cell_clip >= 0 && params_.cell_clip <= INT16_MAX, "cell_clip", params_.cell_clip,
          "0..32767");
  check_accumulator_of_all_taps("lstm", params_.accumulator);
}

Shape Lstm::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  const Shape& x = inputs[0];
  if (x.rank() != 3 || x[2] != input_size()) {
    throw Error({ErrorCode::shape_mismatch, "lstm", "input shape " + to_string(x),
                 fmt::format("(N, T, {})", input_size()), ""});
  }
  return Shape{x[0], x[1], hidden_size()};
}

int64_t Lstm::macs(std::span<const Shape> inputs) const {
  return inputs[0][1] * 4 * hidden_size() * (input_size() + hidden_size());
}

int64_t Lstm::gate_sum(const LstmGate& gate, const Weights& weights, const State& state,
                       int64_t unit, Events& events) const {
  const auto add_up = [&](const std::vector<int32_t>& x, const std::vector<int32_t>& w,
                          int64_t bias) {
    const auto taps = static_cast<int64_t>(x.size());
    const int32_t* row = w.data() + unit * taps;
    const Accumulated sum = state.count_events
                                ? accumulate<true>(x.data(), row, taps, bias, params_.accumulator)
                                : accumulate<false>(x.data(), row, taps, bias, params_.accumulator);
    events.accumulator_overflow += sum.left_width ? 1 : 0;
    return sum.value;
  };
  const int64_t bias = gate.bias.empty() ? 0 : gate.bias.int_at(unit);
  const int64_t from_input = gate.input.apply(add_up(state.x, weights.input, bias), 0, events);
  const int64_t from_hidden = gate.hidden.apply(add_up(state.hidden, weights.hidden, 0), 0, events);
  return saturate_to_16_bits(saturate_to_16_bits(from_input) + from_hidden);
}

void Lstm::step(State& state, Events& events) const {
  for (int64_t unit = 0; unit < hidden_size(); ++unit) {
    const auto gate = [&](const LstmGate& params, const Weights& weights) {
      return 3 * gate_sum(params, weights, state, unit, events);
    };
    const int64_t forget = sigmoid_by_table(gate(params_.forget_gate, forget_gate_));
    const int64_t input = sigmoid_by_table(gate(params_.input_gate, input_gate_));
    const int64_t candidate = tanh_by_table(gate(params_.cell_gate, cell_gate_));
    const int64_t output = sigmoid_by_table(gate(params_.output_gate, output_gate_));
    int64_t& cell = state.cell[static_cast<size_t>(unit)];
    cell = saturate_to_16_bits(params_.forget_to_cell.apply(forget * cell, 0, events));
    cell = std::clamp(cell + params_.input_to_cell.apply(input * candidate, 0, events),
                      -params_.cell_clip, params_.cell_clip);
    const int power = params_.cell_scale_power + 12;
    const int64_t scaled = power >= 0 ? 3 * cell * (int64_t{1} << power)
                                      : (3 * cell + (int64_t{1} << (-power - 1))) >> -power;
    const int64_t product = output * tanh_by_table(scaled);
    state.product[static_cast<size_t>(unit)] = product;
    state.y[static_cast<size_t>(unit)] = params_.output.apply(product, 0, events);
  }
  for (size_t unit = 0; unit < state.hidden.size(); ++unit) {
    state.hidden[unit] = static_cast<int32_t>(state.y[unit] - params_.output_zero_point);
  }
}

Events Lstm::run(std::span<const Tensor* const> inputs, Tensor& output,
                 const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.type);
  const int64_t steps = input.shape()[1], units = hidden_size();
  const Events events =
      detail::for_blocks(context.pool, input.shape()[0], 1, [&](int64_t begin, int64_t end) {
        Events counted;
        for (int64_t image = begin; image < end; ++image) {
          const auto size = static_cast<size_t>(units);
          State state{{},
                      std::vector<int32_t>(size),
                      std::vector<int64_t>(size),
                      std::vector<int64_t>(size),
                      std::vector<int64_t>(size),
                      context.count_events};
          for (int64_t t = image * steps; t < (image + 1) * steps; ++t) {
            state.x = detail::centred_codes(input, t * input_size(), input_size(),
                                            params_.input_zero_point);
            step(state, counted);
            for (int64_t unit = 0; unit < units; ++unit) {
              output.set_int(t * units + unit, state.y[static_cast<size_t>(unit)]);
            }
          }
        }
        return counted;
      });
  return context.count_events ? events : Events{};
}

Explanation Lstm::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape shape = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, shape.numel());
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.type);
  const auto unit = static_cast<size_t>(flat_index % hidden_size());
  const int64_t last = flat_index / hidden_size();  // row of [N, T]
  const auto size = static_cast<size_t>(hidden_size());
  State state{{},
              std::vector<int32_t>(size),
              std::vector<int64_t>(size),
              std::vector<int64_t>(size),
              std::vector<int64_t>(size)};
  Events ignored;
  Explanation explanation;
  for (int64_t t = last / shape[1] * shape[1]; t <= last; ++t) {
    state.x =
        detail::centred_codes(input, t * input_size(), input_size(), params_.input_zero_point);
    if (t == last) {
      const auto add_step = [&](const char* name, const LstmGate& gate, const Weights& weights) {
        explanation.steps.push_back(detail::integer_step(
            name, gate_sum(gate, weights, state, static_cast<int64_t>(unit), ignored)));
      };
      add_step("input gate, Q3.12", params_.input_gate, input_gate_);
      add_step("forget gate, Q3.12", params_.forget_gate, forget_gate_);
      add_step("cell gate, Q3.12", params_.cell_gate, cell_gate_);
      add_step("output gate, Q3.12", params_.output_gate, output_gate_);
      explanation.steps.push_back(detail::integer_step("cell before", state.cell[unit]));
    }
    step(state, ignored);
  }
  explanation.steps.push_back(detail::integer_step("cell", state.cell[unit]));
  explanation.accumulator = state.product[unit];
  explanation.result =
      detail::apply_traced(params_.output, state.product[unit], ignored, &explanation.steps);
  return explanation;
}

}  // namespace facsim::sim
