// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// Softmax over the last axis in float32, one rounding per operation written. With d = largest code
/// of the row - code and all sums in the order of the row:
///   T[d] = exp(-scale_times_beta * d)
///   r = 1 / (sum T[d] * output_scale)
///   out = clamp(round(T[d] * r) + output_zero_point)              half_away_from_zero
/// exp is the float32 nearest to exp of the float32 product; a C library's expf may differ in the
/// last bit of an entry.
/// Source: TFLite optimized_ops.h PopulateSoftmaxLookupTable and Softmax (int8; without
/// TFLITE_SOFTMAX_USE_UINT16_LUT, which aarch64 sets).
struct SoftmaxRealParams {
  IntType input_type = kInt8, output_type = kInt8;  ///< int8; int8 or int16
  float scale_times_beta = 1;                       ///< finite, >= 0
  float output_scale = 0x1p-8f;                     ///< normal, > 0
  int64_t output_zero_point = -128;                 ///< a code of the output
};
class SoftmaxReal final : public Op, public SourcesOp {
 public:
  /// Error unsupported for other types, bad_value for values outside.
  explicit SoftmaxReal(SoftmaxRealParams params);
  std::string_view kind() const override { return "softmax_real"; }
  /// Error shape_mismatch for a scalar or an empty last axis.
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.output_type.storage(); }
  std::optional<DType> input_dtype(int /*index*/) const override {
    return params_.input_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const SoftmaxRealParams& params() const { return params_; }

 private:
  struct Row;
  Row reduce(const int8_t* x, int64_t depth) const;
  int64_t output_of(float exponential, const Row& row) const;

  SoftmaxRealParams params_;
  std::array<float, 256> table_{};
};

}  // namespace facsim::sim
