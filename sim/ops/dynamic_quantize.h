// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "sim/ops/op.h"

namespace facsim::sim {

/// Scale and zero point of a tensor from its own range, as ONNX's DynamicQuantizeLinear.
struct DynamicRange {
  float scale = 1;
  int64_t zero_point = 0;
};
/// With lo = min(0, min x), hi = max(0, max x), all float32 with one rounding per operation:
///   scale = (hi - lo) / 255, or 1 where hi = lo;
///   zero_point = half_even(min(max(0 - lo / scale, 0), 255)).
/// Error bad_value (with its index) for NaN and infinity, for a range that overflows float32, and
/// for one so small that scale is not a normal float32. Source: ONNX op_dynamic_quantize_linear.py;
/// ONNX Runtime GetQuantizationParameter gives the same bits.
DynamicRange dynamic_range(std::span<const float> values);

/// float32 to uint8 codes with scale and zero point of the input's own range:
///   q = min(max(half_even(x / scale) + zero_point, 0), 255).
/// The range is that of the whole tensor, the batch axis included: what one run is given together
/// is quantized together.
class DynamicQuantize final : public Op {
 public:
  /// ONNX's op has three outputs; ours has one, and a node for each that is used.
  enum class Output { codes, scale, zero_point };
  explicit DynamicQuantize(Output output = Output::codes) : output_(output) {}
  std::string_view kind() const override { return "dynamic_quantize"; }
  /// The input's, or (1).
  Shape output_shape(std::span<const Shape> inputs) const override;
  /// uint8, or float32 for the scale.
  DType output_dtype() const override;
  std::optional<DType> input_dtype(int /*index*/) const override { return DType::float32; }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;

 private:
  Output output_;
};

}  // namespace facsim::sim
