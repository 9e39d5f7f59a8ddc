// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/kernels/requantize.h"
#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// v = x - zero_point; out = positive(v) for v >= 0, negative(v * (alpha - alpha_zero_point)) for v
/// < 0: two step programs to the output, with input_scale / output_scale and that times the scale
/// of alpha. Source: TFLite reference/prelu.h BroadcastPrelu4DSlow.
struct PreluParams {
  IntType input_type = kInt8, alpha_type = kInt8;  ///< of at most 16 bits
  int64_t zero_point = 0, alpha_zero_point = 0;    ///< codes of the types
  Requantizer positive, negative;                  ///< to one type, one channel each
};

/// Inputs x and alpha; alpha broadcasts to x as numpy does, never the other way.
class Prelu final : public Op, public SourcesOp {
 public:
  /// Error bad_value for programs over or to float32, per channel, or to different types, and for
  /// zero points outside; unsupported for wider types.
  explicit Prelu(PreluParams params);
  std::string_view kind() const override { return "prelu"; }
  /// Error shape_mismatch: also for an alpha that extends x.
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.positive.output_type().storage(); }
  std::optional<DType> input_dtype(int index) const override {
    return index == 0 ? params_.input_type.storage() : params_.alpha_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const PreluParams& params() const { return params_; }

 private:
  PreluParams params_;
  RequantizeKernel positive_, negative_;
};

}  // namespace facsim::sim
