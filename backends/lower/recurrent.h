// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/lower/lower.h"
#include "sim/ops/lstm.h"
#include "sim/ops/svdf.h"

namespace facsim::backends {

/// An svdf whose multipliers are known; weights and zero points as in sim::SvdfParams.
struct GivenSvdf {
  sim::IntType input_type = sim::kInt8;
  int64_t input_zero_point = 0;
  int64_t rank = 1;
  Tensor feature_weights, time_weights, bias;
  GivenMultiplier state, output;  ///< with the zero points, clamps and types of their results
};
/// Error unsupported for a type the profile does not give the op.
std::shared_ptr<const sim::Op> make_svdf(const Profile& profile, GivenSvdf given);

struct GivenLstmGate {
  Tensor input_weights, hidden_weights, bias;
  GivenMultiplier input, hidden;  ///< multiplier and shift alone count
};
/// An lstm whose multipliers are known, by the algorithm cmsis.lstm: sums of int8 gates and the
/// products of gates and cell through the op's requantize, sums of int16 gates through CMSIS-NN's
/// arm_nn_requantize_s64 with the leading 16 bits of the multiplier.
struct GivenLstm {
  sim::IntType type = sim::kInt8;
  int64_t input_zero_point = 0;
  GivenLstmGate input_gate, forget_gate, cell_gate, output_gate;
  int cell_scale_power = 0;
  int64_t cell_clip = 32767;
  GivenMultiplier forget_to_cell, input_to_cell;  ///< multiplier and shift alone count
  GivenMultiplier output;                         ///< with zero point; the whole range of `type`
};
/// Error unsupported for a type or algorithm the profile does not give the op.
std::shared_ptr<const sim::Op> make_lstm(const Profile& profile, GivenLstm given);

}  // namespace facsim::backends
