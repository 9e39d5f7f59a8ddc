// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/kernels/requantize.h"
#include "sim/ops/op.h"

namespace facsim::sim {

/// out = output(lhs(a) + rhs(b)): two programs bring the codes to a common unit (integers of any
/// width, or float32), the sum is exact in integers or one float32 addition, a third program brings
/// it to the output.
struct AddParams {
  IntType lhs_type = kInt8, rhs_type = kInt8;
  Requantizer lhs, rhs, output;
};

/// Elementwise addition of two tensors of equal shape, or of [N, …] and a shape that numpy
/// broadcasting extends to it.
class Add final : public Op {
 public:
  explicit Add(AddParams params);
  std::string_view kind() const override { return "add"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  std::optional<DType> input_dtype(int index) const override {
    return index == 0 ? params_.lhs_type.storage() : params_.rhs_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;

 private:
  bool sums_reals() const { return params_.lhs.output_is_real(); }
  void prepare_sums();

  AddParams params_;
  /// The lhs and rhs programs' own results by the bits of an 8-bit code: [256] int64 or float32.
  /// Empty for wider inputs, per-channel programs, and where a program refuses a code.
  Tensor lhs_table_, rhs_table_;
  RequantizeKernel kernel_;  ///< of the output program, over the tables' sums
  bool sums_fit_int32_ = false;
};

}  // namespace facsim::sim
