// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/accumulator.h"
#include "sim/ops/op.h"

namespace facsim::sim {

/// One gate of an LSTM: weights and the two step programs that bring its sums to Q3.12.
struct LstmGate {
  Tensor input_weights;       ///< [H, I] int8
  Tensor hidden_weights;      ///< [H, H] int8
  Tensor bias;                ///< [H] int32 or int64, of the input's sum; or empty
  Requantizer input, hidden;  ///< to int32, one channel
};

/// A unidirectional LSTM with 16-bit gates and cell. With z = zero points, at each time step:
///   gate = saturate16(saturate16(input(bias + sum_i (x[i] - zx) * W[i])) + hidden(sum_h (y'[h] -
///   zy) * R[h])) i, f, o = sigmoid_by_table(3 gate), g = tanh_by_table(3 gate) (Q15) c =
///   saturate16(forget_to_cell(f * c)) c = clamp(c + input_to_cell(i * g), -cell_clip, cell_clip)
///   real cell = c * 2^cell_scale_power y = output(o * tanh_by_table(3 c * 2^(cell_scale_power +
///   12), to the right half_up))
/// y' is y of the step before, at first zy; c starts at 0. Every program is one for all elements.
/// Source: CMSIS-NN arm_lstm_unidirectional_s8 and _s16, arm_nn_lstm_step_s8 and _s16,
/// arm_nn_lstm_calculate_gate_*, arm_nn_vec_mat_mul_result_acc_*, arm_elementwise_mul_s16,
/// arm_elementwise_mul_acc_s16, arm_elementwise_mul_s16_s8, arm_nn_activation_s16.
struct LstmParams {
  IntType type = kInt8;  ///< of x and y: int8 or int16
  int64_t input_zero_point = 0, output_zero_point = 0;
  LstmGate input_gate, forget_gate, cell_gate, output_gate;
  int cell_scale_power = -11;                 ///< -31..0
  int64_t cell_clip = 32767;                  ///< 0..32767
  Accumulator accumulator;                    ///< of the gates' sums
  Requantizer forget_to_cell, input_to_cell;  ///< to int32
  Requantizer output;                         ///< to `type`, its zero point included
};

/// x [N, T, I] to y [N, T, H]; each image starts with an empty cell.
class Lstm final : public Op {
 public:
  /// Error shape_mismatch, bad_value or unsupported for parameters other than said above.
  explicit Lstm(LstmParams params);
  std::string_view kind() const override { return "lstm"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.type.storage(); }
  std::optional<DType> input_dtype(int /*index*/) const override { return params_.type.storage(); }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  int64_t macs(std::span<const Shape> inputs) const override;
  const LstmParams& params() const { return params_; }

 private:
  struct Weights {
    std::vector<int32_t> input, hidden;
  };
  struct State;
  int64_t input_size() const { return params_.input_gate.input_weights.shape()[1]; }
  int64_t hidden_size() const { return params_.input_gate.input_weights.shape()[0]; }
  /// The gate's value before its activation, Q3.12.
  int64_t gate_sum(const LstmGate& gate, const Weights& weights, const State& state, int64_t unit,
                   Events& events) const;
  void step(State& state, Events& events) const;

  LstmParams params_;
  Weights input_gate_, forget_gate_, cell_gate_, output_gate_;
};

}  // namespace facsim::sim
