// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "sim/ops/in_place.h"
#include "sim/ops/op.h"

namespace facsim::sim {

namespace detail {
class RealKernel;
}

/// Applies one step program to each element: quantize (float32 in), dequantize (float32 out),
/// requantize, relu, relu6, clamp. Per-channel arguments index the last axis, or `channel_axis`.
struct MapParams {
  std::string kind = "requantize";  ///< quantize | dequantize | requantize | relu | relu6 | clamp
  DType input_dtype = DType::int8;
  Requantizer requantize;
  int channel_axis = -1;  ///< -1: the last
};
class Map final : public Op, public InPlaceOp {
 public:
  explicit Map(MapParams params);
  std::string_view kind() const override { return params_.kind; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  std::optional<DType> input_dtype(int /*index*/) const override { return params_.input_dtype; }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  bool may_overwrite_input() const override { return params_.input_dtype == output_dtype(); }
  const MapParams& params() const { return params_; }

 private:
  int64_t channel_of(int64_t flat_index, const Shape& shape) const;
  void make_table();

  MapParams params_;
  /// [channels, 256] by the bits of an 8-bit code: the program's own results. Empty for wider
  /// inputs, for many channels, and where the program refuses a code.
  Tensor table_;
  /// Of a program over float32, where its form allows.
  std::shared_ptr<const detail::RealKernel> real_kernel_;
};

}  // namespace facsim::sim
