// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/kernels/requantize.h"
#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// out = requantize((a - lhs_zero_point) * (b - rhs_zero_point)), elementwise with numpy
/// broadcasting; the product is exact (types of up to 31 bits). Source: TFLite
/// integer_ops/mul.h, CMSIS-NN arm_elementwise_mul_s8, arm_elementwise_mul_s16.
struct MulParams {
  IntType lhs_type = kInt8, rhs_type = kInt8;
  int64_t lhs_zero_point = 0, rhs_zero_point = 0;
  Requantizer requantize;  ///< per tensor, or per channel of the last axis
};
class Mul final : public Op, public SourcesOp {
 public:
  /// Errors: unsupported for a type above 31 bits, bad_value for a zero point that is no code or a
  /// program over float32.
  explicit Mul(MulParams params);
  std::string_view kind() const override { return "mul"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.requantize.output_type().storage(); }
  std::optional<DType> input_dtype(int index) const override {
    return index == 0 ? params_.lhs_type.storage() : params_.rhs_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const MulParams& params() const { return params_; }

 private:
  MulParams params_;
  bool products_fit_int32_ = false;
  RequantizeKernel kernel_;  ///< over the range of the products
};

}  // namespace facsim::sim
