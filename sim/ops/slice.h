// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// Every stride-th index of an axis from begin up to end, as numpy's begin:end:stride: a negative
/// begin or end counts from the end of the axis, both are cut to it, an absent one means the whole
/// axis in the direction of the stride. Source: TFLite strided_slice_logic.h StartForAxis,
/// StopForAxis.
struct SliceAxis {
  std::optional<int64_t> begin, end;
  int64_t stride = 1;  ///< not 0; negative: backwards
};

/// Codes do not change. Axes without an entry are taken whole.
struct SliceParams {
  DType dtype = DType::int8;
  std::vector<SliceAxis> axes;
};
class Slice final : public Op, public SourcesOp {
 public:
  /// Error bad_value: a stride of 0.
  explicit Slice(SliceParams params);
  std::string_view kind() const override { return "slice"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.dtype; }
  std::optional<DType> input_dtype(int /*index*/) const override { return params_.dtype; }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const SliceParams& params() const { return params_; }

 private:
  SliceParams params_;
};

}  // namespace facsim::sim
