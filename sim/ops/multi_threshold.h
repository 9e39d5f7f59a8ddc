// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sim/ops/op.h"

namespace facsim::sim {

/// out = bias + scale * (how many thresholds of the channel are <= code): any monotonic function of
/// an integer, exactly.
/// Source: FINN and qonnx custom_op/general/multithreshold.py.
struct MultiThresholdParams {
  IntType input_type = kInt32;  ///< of at most 32 bits
  IntType output_type = kInt8;
  /// [1 or channels of the last axis], each ascending, all of one length (possibly 0).
  std::vector<std::vector<int64_t>> thresholds;
  int64_t scale = 1, bias = 0;
};
class MultiThreshold final : public Op {
 public:
  /// Error bad_value: no channels, lists of different lengths or out of order, a value that does
  /// not fit the output type. Error unsupported: an input type above 32 bits.
  explicit MultiThreshold(MultiThresholdParams params);
  std::string_view kind() const override { return "multi_threshold"; }
  /// Error shape_mismatch: a last axis of another number of channels.
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.output_type.storage(); }
  std::optional<DType> input_dtype(int /*index*/) const override {
    return params_.input_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  const MultiThresholdParams& params() const { return params_; }

 private:
  /// The thresholds of the channel that element i of the tensor belongs to.
  const std::vector<int64_t>& of_element(int64_t i, int64_t channels) const;

  MultiThresholdParams params_;
};

}  // namespace facsim::sim
