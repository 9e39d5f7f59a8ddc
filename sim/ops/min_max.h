// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// The smaller or the larger of two codes, elementwise with numpy broadcasting: the inputs and the
/// output share scale and zero point. Source: TFLite maximum_minimum.h, CMSIS-NN arm_minimum_s8,
/// arm_maximum_s8.
struct MinMaxParams {
  enum class Kind { minimum, maximum };
  Kind kind = Kind::minimum;
  IntType type = kInt8;
};
class MinMax final : public Op, public SourcesOp {
 public:
  explicit MinMax(MinMaxParams params) : params_(params) {}
  std::string_view kind() const override {
    return params_.kind == MinMaxParams::Kind::minimum ? "minimum" : "maximum";
  }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.type.storage(); }
  std::optional<DType> input_dtype(int /*index*/) const override { return params_.type.storage(); }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const MinMaxParams& params() const { return params_; }

 private:
  MinMaxParams params_;
};

}  // namespace facsim::sim
