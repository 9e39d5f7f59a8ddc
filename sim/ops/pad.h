// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// The input with `value` around it: before[i] and after[i] more indices on axis i. Codes do not
/// change; `value` is the code of real 0 (the zero point) or whatever a network says.
struct PadParams {
  IntType type = kInt8;
  std::vector<int64_t> before, after;  ///< one entry per axis, >= 0
  int64_t value = 0;
};
class Pad final : public Op, public SourcesOp {
 public:
  /// Error bad_value: a negative padding, lists of different length, a value that is no code.
  explicit Pad(PadParams params);
  std::string_view kind() const override { return "pad"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.type.storage(); }
  std::optional<DType> input_dtype(int /*index*/) const override { return params_.type.storage(); }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const PadParams& params() const { return params_; }

 private:
  PadParams params_;
};

}  // namespace facsim::sim
