// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// Softmax over the last axis in float32 by a table of large exponentials, one rounding per
/// operation written. With D the extent of the axis, d = largest code of the row - code, and the
/// sum in the order of the row:
///   b = max(0, log(float32(FLT_MAX / D)) - 5) / input_scale, in float64
///   T[d] = exp((b - d) * input_scale), in float64, then float32
///   steps = floor(1 / output_scale)
///   out = min(half_even(T[d] * steps / sum of T) + output_zero_point, largest code)
/// Source: ONNX Runtime contrib_ops/cpu/quantization/qlinear_softmax.cc (1.30: int8 saturates).
struct SoftmaxScaledParams {
  IntType type = kUint8;  ///< of input and output: int8 or uint8
  float input_scale = 1;  ///< normal, > 0
  float output_scale = 0x1p-8f;
  int64_t output_zero_point = 0;  ///< a code of the type
};
class SoftmaxScaled final : public Op, public SourcesOp {
 public:
  /// Error unsupported for other types, bad_value for values outside.
  explicit SoftmaxScaled(SoftmaxScaledParams params);
  std::string_view kind() const override { return "softmax_scaled"; }
  /// Error shape_mismatch for a scalar or an empty last axis; unsupported where T[0] * steps is no
  /// float32 number (steps above about 148 D): C++ does not say which code that is.
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.type.storage(); }
  std::optional<DType> input_dtype(int /*index*/) const override { return params_.type.storage(); }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const SoftmaxScaledParams& params() const { return params_; }

 private:
  struct Row;
  std::vector<float> table_for(int64_t depth) const;
  Row reduce(const Tensor& x, int64_t begin, int64_t depth, std::span<const float> table) const;
  int64_t output_of(float exponential, float sum) const;

  SoftmaxScaledParams params_;
  float steps_ = 0;
};

}  // namespace facsim::sim
