// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/op.h"

namespace facsim::sim {

/// Applies one step program to each element, its arguments per block: elements of `block_size`
/// neighbours along `axis` share an argument, on every other axis each index has its own.
///
/// x [e0, …, en], arguments [a0, …, an] flat in row-major order with a_axis = ceil(e_axis /
/// block_size) and a_i = e_i elsewhere (the last block may be shorter). Source: ONNX QuantizeLinear
/// and DequantizeLinear 21, "blocked quantization".
struct MapBlockedParams {
  std::string kind = "quantize_blocked";  ///< quantize_blocked | dequantize_blocked
  DType input_dtype = DType::float32;
  Requantizer requantize;  ///< arguments of length 1 or arguments.numel()
  Shape arguments{1};      ///< of the scales
  int axis = 0;            ///< of x, >= 0
  int64_t block_size = 1;  ///< >= 1
};
class MapBlocked final : public Op {
 public:
  /// Error bad_value: a kind or program that is neither float32 to codes nor codes to float32, an
  /// axis or block size outside what is said above, arguments of another number.
  explicit MapBlocked(MapBlockedParams params);
  std::string_view kind() const override { return params_.kind; }
  /// The input's. Error shape_mismatch unless it has the extents that `arguments` stands for.
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  std::optional<DType> input_dtype(int /*index*/) const override { return params_.input_dtype; }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  const MapBlockedParams& params() const { return params_; }

 private:
  int64_t block_of(int64_t flat_index, const Shape& shape) const;

  MapBlockedParams params_;
};

}  // namespace facsim::sim
