// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/op.h"

namespace facsim::sim {

/// Applies one step program to each element: quantize (float32 in), dequantize (float32 out),
/// requantize, relu, relu6, clamp. Per-channel arguments index the last axis, or `channel_axis`.
struct MapParams {
  std::string kind = "requantize";  ///< quantize | dequantize | requantize | relu | relu6 | clamp
  DType input_dtype = DType::int8;
  Requantizer requantize;
  int channel_axis = -1;  ///< -1: the last
};
class Map final : public Op {
 public:
  explicit Map(MapParams params);
  std::string_view kind() const override { return params_.kind; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;

 private:
  MapParams params_;
};

/// out = table[code - input_type.min()] for types of up to 16 bits: any activation function on codes.
struct LutParams {
  IntType input_type = kInt8, output_type = kInt8;
  std::vector<int64_t> table;  ///< 2^input_type.bits entries, each inside output_type
};
class Lut final : public Op {
 public:
  explicit Lut(LutParams params);
  std::string_view kind() const override { return "lut"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;

 private:
  LutParams params_;
};

/// The same elements under another shape. `extents` has no batch axis; one entry may be -1.
/// flatten: extents {-1}. NHWC elements are taken in the order `order` names: `nchw` flattens a
/// channel-first network's tensor as PyTorch and ONNX do (a permutation, not a view).
struct ReshapeParams {
  enum class Order { nhwc, nchw };
  std::vector<int64_t> extents{-1};
  DType dtype = DType::int8;
  Order order = Order::nhwc;
};
class Reshape final : public Op {
 public:
  explicit Reshape(ReshapeParams params);
  std::string_view kind() const override { return "reshape"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  bool is_view() const override { return params_.order == ReshapeParams::Order::nhwc; }

 private:
  ReshapeParams params_;
};

}  // namespace facsim::sim
