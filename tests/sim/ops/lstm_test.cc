// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/lstm.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "sim/ops/sigmoid.h"
#include "tests/sim/ops/activation_tester.h"
#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

constexpr int64_t kInputs = 5, kHidden = 3;

LstmGate random_gate(uint64_t seed, int64_t multiplier) {
  LstmGate gate;
  gate.input_weights = random_codes(kInt8, {kHidden, kInputs}, seed);
  gate.hidden_weights = random_codes(kInt8, {kHidden, kHidden}, seed + 1);
  gate.bias = Tensor(DType::int32, Shape{kHidden});
  for (int64_t i = 0; i < kHidden; ++i) gate.bias.set_int(i, 900 * i - 1000);
  gate.input = tflite_double(multiplier, -2, 0, kInt32);
  gate.hidden = tflite_double(multiplier, -3, 0, kInt32);
  return gate;
}

LstmParams random_lstm(IntType type) {
  LstmParams params;
  params.type = type;
  params.input_zero_point = type == kInt8 ? -128 : 0;
  params.output_zero_point = type == kInt8 ? 71 : 0;
  const int64_t multiplier = type == kInt8 ? 1736887168 : 1073741824 / 64;
  params.input_gate = random_gate(41, multiplier);
  params.forget_gate = random_gate(43, multiplier);
  params.cell_gate = random_gate(45, multiplier);
  params.output_gate = random_gate(47, multiplier);
  params.cell_scale_power = -14;
  params.forget_to_cell = tflite_double(1073741824, -14, 0, kInt32);
  params.input_to_cell = tflite_double(1073741824, -15, 0, kInt32);
  params.output =
      tflite_double(1233130888, type == kInt8 ? -21 : -14, params.output_zero_point, type);
  return params;
}

int64_t clamped(int64_t v, int64_t low, int64_t high) { return std::min(std::max(v, low), high); }

/// Q3.12 before the activation, by the formula.
int64_t gate_by_formula(const LstmGate& gate, const std::vector<int64_t>& x,
                        const std::vector<int64_t>& h, int64_t unit) {
  int64_t from_input = gate.bias.int_at(unit), from_hidden = 0;
  for (int64_t i = 0; i < kInputs; ++i) {
    from_input += x[static_cast<size_t>(i)] * gate.input_weights.int_at(unit * kInputs + i);
  }
  for (int64_t i = 0; i < kHidden; ++i) {
    from_hidden += h[static_cast<size_t>(i)] * gate.hidden_weights.int_at(unit * kHidden + i);
  }
  Events ignored;
  const int64_t first = clamped(gate.input.apply(from_input, 0, ignored), INT16_MIN, INT16_MAX);
  return clamped(first + gate.hidden.apply(from_hidden, 0, ignored), INT16_MIN, INT16_MAX);
}

}  // namespace

TEST_CASE("lstm: the formula, step by step") {
  for (const IntType type : {kInt8, kInt16}) {
    for (const int power : {-14, -9}) {
      LstmParams params = random_lstm(type);
      params.cell_scale_power = power;
      params.cell_clip = 30000;
      const Tensor x = random_codes(type, {2, 4, kInputs}, 51);
      const Lstm op(params);
      const Tensor y = run_everywhere(op, {&x});
      CHECK(y.shape() == Shape{2, 4, kHidden});
      CHECK(op.macs(std::vector<Shape>{x.shape()}) == 4 * 4 * 3 * 8);
      Events ignored;
      for (int64_t n = 0; n < 2; ++n) {
        std::vector<int64_t> hidden(kHidden, 0), cell(kHidden, 0);
        for (int64_t t = 0; t < 4; ++t) {
          std::vector<int64_t> input;
          for (int64_t i = 0; i < kInputs; ++i) {
            input.push_back(x.int_at((n * 4 + t) * kInputs + i) - params.input_zero_point);
          }
          std::vector<int64_t> next;
          for (int64_t u = 0; u < kHidden; ++u) {
            const auto before = [&](const LstmGate& gate) {
              return 3 * gate_by_formula(gate, input, hidden, u);
            };
            int64_t& c = cell[static_cast<size_t>(u)];
            c = params.forget_to_cell.apply(sigmoid_by_table(before(params.forget_gate)) * c, 0,
                                            ignored);
            c = clamped(c, INT16_MIN, INT16_MAX) +
                params.input_to_cell.apply(sigmoid_by_table(before(params.input_gate)) *
                                               tanh_by_table(before(params.cell_gate)),
                                           0, ignored);
            c = clamped(c, -30000, 30000);
            // 3 c * 2^(power + 12): a quarter half_up, or times 8.
            const int64_t scaled = power == -14 ? (3 * c + 2) >> 2 : 24 * c;
            const int64_t product =
                sigmoid_by_table(before(params.output_gate)) * tanh_by_table(scaled);
            const int64_t code = params.output.apply(product, 0, ignored);
            REQUIRE(y.int_at((n * 4 + t) * kHidden + u) == code);
            next.push_back(code - params.output_zero_point);
          }
          hidden = next;
        }
      }
    }
  }
}

TEST_CASE("lstm: weights of 0 leave an empty cell") {
  LstmParams params = random_lstm(kInt8);
  for (LstmGate* gate :
       {&params.input_gate, &params.forget_gate, &params.cell_gate, &params.output_gate}) {
    gate->input_weights = Tensor(DType::int8, Shape{kHidden, kInputs});
    gate->hidden_weights = Tensor(DType::int8, Shape{kHidden, kHidden});
    gate->bias = {};
  }
  const Tensor x = random_codes(kInt8, {1, 3, kInputs}, 52);
  for (const int64_t code : ints(run_everywhere(Lstm(params), {&x}))) CHECK(code == 71);
}

TEST_CASE("lstm: an accumulator that leaves its width is counted") {
  LstmParams params = random_lstm(kInt8);
  params.accumulator.bits = 12;
  const Tensor x = random_codes(kInt8, {2, 3, kInputs}, 53);
  Events events;
  run_everywhere(Lstm(params), {&x}, &events);
  CHECK(events.accumulator_overflow > 0);
}

TEST_CASE("lstm: refuses parameters and inputs that do not fit") {
  LstmParams params = random_lstm(kInt8);
  params.type = kUint8;
  CHECK(error_of([&] { Lstm{params}; }, "uint8; expected int8 or int16") == ErrorCode::unsupported);
  params = random_lstm(kInt8);
  params.cell_gate.hidden_weights = random_codes(kInt8, {kHidden, 2}, 1);
  CHECK(error_of([&] { Lstm{params}; }, "lstm cell_gate hidden_weights") ==
        ErrorCode::shape_mismatch);
  params = random_lstm(kInt8);
  params.output_gate.bias = random_codes(kInt16, {kHidden}, 1);
  CHECK(error_of([&] { Lstm{params}; }, "output_gate bias: dtype int16") == ErrorCode::bad_value);
  params = random_lstm(kInt8);
  params.cell_scale_power = 1;
  CHECK(error_of([&] { Lstm{params}; }, "cell_scale_power: 1") == ErrorCode::bad_value);
  params = random_lstm(kInt8);
  params.cell_clip = 32768;
  CHECK(error_of([&] { Lstm{params}; }, "cell_clip: 32768") == ErrorCode::bad_value);
  params = random_lstm(kInt8);
  params.output = tflite_double(1 << 30, 0, 0, kInt16);
  CHECK(error_of([&] { Lstm{params}; }, "lstm output: a program to int16") == ErrorCode::bad_value);
  params = random_lstm(kInt8);
  params.accumulator.operands = Accumulator::Operands::unsigned_codes;
  CHECK(error_of([&] { Lstm{params}; }, "lstm accumulator: operands") == ErrorCode::unsupported);
  params = random_lstm(kInt8);
  params.accumulator.block = Accumulator::Block{.taps = 4};
  CHECK(error_of([&] { Lstm{params}; }, "lstm accumulator: blocks") == ErrorCode::unsupported);
  const Lstm op(random_lstm(kInt8));
  CHECK(error_of(
            [&] {
              op.output_shape(std::vector<Shape>{Shape{2, 5}});
            },
            "(N, T, 5)") == ErrorCode::shape_mismatch);
}

}  // namespace facsim::sim::test
