// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// 512 steps of a function over an interval and its end point, in Q15.
using SoftmaxTable = std::array<int16_t, 513>;

/// exp over [-10, 0] and 1 / (1 + x) over [0, 1], each entry moved by half the error that
/// interpolating to the next one makes in the middle. With f in float32, s the step, F(x) = 32768
/// f(x), round half_away_from_zero and clamped to int16:
///   T[i] = round(F(x)) - round((round((F(x + s) + round(F(x))) / 2) - round(F(x + s / 2))) / 2)
///   T[512] = round(F(end))
/// Source: TFLite common.h gen_lut, softmax.cc; equal to the arrays CMSIS-NN's tests carry.
const SoftmaxTable& softmax_exp_table();
const SoftmaxTable& softmax_reciprocal_table();

/// Softmax over the last axis. With d = code - (largest code of the row) and q = scale(d):
///
/// gemmlowp_exp (int8 or uint8 in; the same or int16 out; output scale 2^-bits, zero point the
/// lowest code): e = gemmlowp's exp of q as Q5.26, in Q0.31, 0 for d < difference_min; sum of e in
/// Q12.19, each rounded half_away_from_zero; r = 1 / sum by Newton's method, Q0.31 and a power of
/// two; out = e * r rounded half_up to 31 bits and half_away_from_zero to the output's, saturated.
///
/// lut513 (int16 in and out; output scale 2^-15, zero point 0): e = exp table at clamp(q + 32767),
/// in Q15, interpolated by 7 bits half_up; r = reciprocal table at the sum's leading 17 bits less
/// the first; out = e * r half_up, clamped to 0..32767.
///
/// Source: TFLite reference/softmax.h Softmax and SoftmaxInt16; CMSIS-NN arm_softmax_s8,
/// arm_softmax_s8_s16, arm_softmax_u8 and arm_softmax_s16 give the same.
struct SoftmaxParams {
  enum class Algorithm { gemmlowp_exp, lut513 };
  Algorithm algorithm = Algorithm::gemmlowp_exp;
  IntType input_type = kInt8, output_type = kInt8;
  int64_t difference_min = 0;  ///< gemmlowp_exp: <= 0
  Requantizer scale;           ///< to int32, one channel
};
class Softmax final : public Op, public SourcesOp {
 public:
  /// Error unsupported for types the algorithm has not; bad_value for another program, or one that
  /// takes a difference the rule uses out of Q5.26's range -32..0.
  explicit Softmax(SoftmaxParams params);
  std::string_view kind() const override { return "softmax"; }
  /// Error shape_mismatch for a scalar or an empty last axis.
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.output_type.storage(); }
  std::optional<DType> input_dtype(int /*index*/) const override {
    return params_.input_type.storage();
  }
  /// Error unsupported for a row whose sum the source does not compute: 512 or more for 8-bit
  /// outputs (TFLite stops there), 2^31 steps elsewhere.
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const SoftmaxParams& params() const { return params_; }

 private:
  struct Row;
  template <class In>
  Row reduce(const In* x, int64_t depth, bool by_norm) const;
  int32_t exponential(int64_t difference) const;
  /// What an exponential adds to the sum.
  int32_t term(int32_t exponential) const;
  /// exponential / sum: the product with the reciprocal, that shifted, and the code.
  struct Share {
    int64_t product = 0, shifted = 0;
    int32_t code = 0;
  };
  Share share_of(int32_t exponential, const Row& row) const;
  int32_t output_of(int32_t exponential, const Row& row) const {
    return share_of(exponential, row).code;
  }
  void trace_terms(const std::vector<int32_t>& codes, int64_t max,
                   std::vector<TracedStep>& steps) const;
  template <class In, class Out>
  void run_row(const In* x, int64_t depth, bool by_norm, Out* y) const;

  SoftmaxParams params_;
  /// exponential(-i) for every difference of the input type: the norm's own results.
  std::vector<int32_t> exponentials_;
  std::vector<int32_t> terms_;  ///< term(exponentials_[i])
};

}  // namespace facsim::sim
