// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/kernels/requantize.h"
#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// acc = sum over the reduced axes of (q - input_zero_point), exact; out = requantize(acc), whose
/// program holds the division by `count`. Source: TFLite reduce.h QuantizedMeanOrSum.
struct MeanParams {
  IntType input_type = kInt8;  ///< up to 32 bits
  int64_t input_zero_point = 0;
  std::vector<int> axes;   ///< reduced, each once, not the batch
  bool keep_dims = true;   ///< reduced axes stay with extent 1
  int64_t count = 1;       ///< elements of one sum: the product of the reduced extents
  Requantizer requantize;  ///< per tensor
};
class Mean final : public Op, public SourcesOp {
 public:
  /// Errors: bad_value for axes given twice or below 0, a count outside 1..2^28, a zero point that
  /// is no code, a program over float32 or per channel; unsupported for types above 32 bits.
  explicit Mean(MeanParams params);
  std::string_view kind() const override { return "mean"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.requantize.output_type().storage(); }
  std::optional<DType> input_dtype(int /*index*/) const override {
    return params_.input_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const MeanParams& params() const { return params_; }

 private:
  MeanParams params_;
  RequantizeKernel kernel_;
};

}  // namespace facsim::sim
