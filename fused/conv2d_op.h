// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/kernels/conv2d_f32.h"
#include "fused/linear_op.h"

namespace facsim::fused {

/// How a convolution sees the outside of the image. PyTorch's padding_mode: `reflect` mirrors
/// without repeating the edge; it has no integer form.
enum class PaddingMode { zeros, reflect };

/// Geometry of PyTorch's Conv2d.
struct Conv2dGeometry {
  int64_t in_channels = 1, out_channels = 1;
  std::array<int64_t, 2> kernel_size{1, 1}, stride{1, 1}, padding{0, 0}, dilation{1, 1};
  int64_t groups = 1;
  PaddingMode padding_mode = PaddingMode::zeros;
};

/// Convolution over NHWC, weights OHWI; depthwise is groups == in_channels.
class Conv2dOp final : public LinearOp {
 public:
  /// Error bad_value names the field that is not positive, or groups that do not divide the
  /// channels.
  explicit Conv2dOp(const Conv2dGeometry& geometry);
  const Conv2dGeometry& geometry() const { return geometry_; }

  int64_t in_channels() const override { return geometry_.in_channels; }
  int64_t out_channels() const override { return geometry_.out_channels; }
  Shape weight_shape() const override;
  Shape output_shape(const Shape& input) const override;
  Tensor forward(const Tensor& x, const Tensor& w, sim::ThreadPool* pool) const override;
  Tensor backward(const LinearBackward& pass, sim::ThreadPool* pool) const override;
  std::string_view rules_word() const override;
  backends::IntNode integer_node() const override;
  sim::Window2d window() const override;
  int64_t groups() const override { return geometry_.groups; }

 private:
  /// The convolution the kernels run: over the padded image when the padding is not zeros.
  kernels::Conv2dShape kernel_shape(const Shape& x) const;

  Conv2dGeometry geometry_;
};

}  // namespace facsim::fused
