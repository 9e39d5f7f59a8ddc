// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/op.h"

namespace facsim::sim {

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
  std::optional<DType> input_dtype(int /*index*/) const override { return params_.dtype; }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  bool is_view() const override { return params_.order == ReshapeParams::Order::nhwc; }
  const ReshapeParams& params() const { return params_; }

 private:
  ReshapeParams params_;
};

}  // namespace facsim::sim
