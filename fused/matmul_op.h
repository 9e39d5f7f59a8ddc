// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/linear_op.h"

namespace facsim::fused {

/// PyTorch's Linear: z[…, o] = sum_i x[…, i] * w[o, i]. An input [N, H, W, C] with H*W*C features
/// is taken as [N, features].
class MatmulOp final : public LinearOp {
 public:
  /// Error bad_value unless both are positive.
  MatmulOp(int64_t in_features, int64_t out_features);

  int64_t in_channels() const override { return in_; }
  int64_t out_channels() const override { return out_; }
  Shape weight_shape() const override { return {out_, in_}; }
  Shape output_shape(const Shape& input) const override;
  Tensor forward(const Tensor& x, const Tensor& w, sim::ThreadPool* pool) const override;
  Tensor backward(const LinearBackward& pass, sim::ThreadPool* pool) const override;
  std::string_view rules_word() const override { return "linear"; }
  backends::IntNode integer_node() const override;
  sim::Window2d window() const override { return {}; }
  int64_t groups() const override { return 1; }
  Tensor accumulator_image(const Tensor& codes, int64_t zero) const override;
  Tensor accumulator_weights(const Tensor& codes) const override;

 private:
  int64_t in_, out_;
};

}  // namespace facsim::fused
