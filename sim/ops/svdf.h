// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/accumulator.h"
#include "sim/ops/op.h"

namespace facsim::sim {

/// A rank-R filter over time ("singular value decomposition filter"). For each time step t the
/// oldest of the M states of each filter f leaves, and
///   state[f][M-1] = state(sum_i (x[t][i] - input_zero_point) * feature_weights[f][i])
///   y[t][u] = output(bias[u] + sum_{r,m} (state[uR+r][m] - state_zero_point) *
///   time_weights[uR+r][m])
/// where `state` and `output` are step programs that saturate to their types, zero points included.
/// Source: TFLite Micro svdf_common.cc EvalIntegerSvdfReference, CMSIS-NN arm_svdf_s8 and
/// arm_svdf_state_s16_s8.
struct SvdfParams {
  IntType input_type = kInt8;
  int64_t input_zero_point = 0, state_zero_point = 0;
  int64_t rank = 1;        ///< R, divides F
  Tensor feature_weights;  ///< [F, I] int8
  Tensor time_weights;     ///< [F, M] int8 or int16
  Tensor bias;             ///< [F / R] int32, or empty
  Accumulator accumulator;
  Requantizer state, output;  ///< one channel each; the state's type has at most 16 bits
};

/// Inputs: x [N, T, I] and, optionally, the states [N, F, M] before the first step (without: all at
/// state_zero_point); output [N, T, F / R].
class Svdf final : public Op {
 public:
  /// Error shape_mismatch, bad_value or unsupported for parameters other than said above.
  explicit Svdf(SvdfParams params);
  std::string_view kind() const override { return "svdf"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.output.output_type().storage(); }
  std::optional<DType> input_dtype(int index) const override {
    return index == 0 ? params_.input_type.storage() : params_.state.output_type().storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  int64_t macs(std::span<const Shape> inputs) const override;
  const SvdfParams& params() const { return params_; }

 private:
  int64_t filters() const { return params_.feature_weights.shape()[0]; }
  int64_t units() const { return filters() / params_.rank; }
  int64_t memory() const { return params_.time_weights.shape()[1]; }
  void check_inputs(std::span<const Tensor* const> inputs) const;
  /// The accumulators [T, F / R] of one image.
  std::vector<int64_t> run_image(std::span<const Tensor* const> inputs, int64_t image,
                                 bool count_events, Events& events) const;

  SvdfParams params_;
  std::vector<int32_t> feature_weights_, time_weights_;
};

}  // namespace facsim::sim
