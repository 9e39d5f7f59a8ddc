// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/in_place.h"
#include "sim/ops/op.h"

namespace facsim::sim {

/// out = table[code - input_type.min()] for types of up to 16 bits: any activation function on
/// codes.
struct LutParams {
  IntType input_type = kInt8, output_type = kInt8;
  std::vector<int64_t> table;  ///< 2^input_type.bits entries, each inside output_type
};
class Lut final : public Op, public InPlaceOp {
 public:
  explicit Lut(LutParams params);
  std::string_view kind() const override { return "lut"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  std::optional<DType> input_dtype(int /*index*/) const override {
    return params_.input_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  bool may_overwrite_input() const override { return input_dtype(0) == output_dtype(); }
  const LutParams& params() const { return params_; }

 private:
  LutParams params_;
  Tensor table_;  ///< params_.table in the output's storage
};

}  // namespace facsim::sim
