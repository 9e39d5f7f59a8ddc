// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// Named algorithm ort.qlinear_add_fma, version 1: ONNX Runtime's QLinearAdd on x86 with FMA.
/// y = clamp(rint(fma(a, ra, fma(b, rb, k)))), ra = sa/sc, rb = sb/sc, k = zc - fma(ra, za, rb*zb),
/// all float32, codes a and b raw. Source: reference/arithmetic.md §8.
struct AddFmaParams {
  IntType lhs_type = kUint8, rhs_type = kUint8, output_type = kUint8;
  float lhs_scale = 1, rhs_scale = 1, output_scale = 1;
  int64_t lhs_zero_point = 0, rhs_zero_point = 0, output_zero_point = 0;
  int64_t clamp_min = 0, clamp_max = 255;
};
class AddFma final : public Op, public SourcesOp {
 public:
  explicit AddFma(AddFmaParams params);
  std::string_view kind() const override { return "add_fma"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  std::optional<DType> input_dtype(int index) const override {
    return index == 0 ? params_.lhs_type.storage() : params_.rhs_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const AddFmaParams& params() const { return params_; }

 private:
  AddFmaParams params_;
};

}  // namespace facsim::sim
