// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "fused/kernels/conv2d_f32.h"
#include "fused/linear_op.h"

namespace facsim::fused {

/// Geometry of PyTorch's ConvTranspose2d.
struct ConvTranspose2dGeometry {
  int64_t in_channels = 1, out_channels = 1;
  std::array<int64_t, 2> kernel_size{1, 1}, stride{1, 1}, padding{0, 0}, output_padding{0, 0},
      dilation{1, 1};
  int64_t groups = 1;
};

/// Transposed convolution over NHWC:
///   z[n, i * stride + k * dilation - padding, oc] += x[n, i, ic] * w[oc, k, ic]
/// with weights [OC, KH, KW, IC / groups] (PyTorch's [IC, OC / groups, KH, KW] with the output
/// channel first, so that axis 0 has the scales as everywhere).
///
/// In float it is the input gradient of the convolution that it transposes. Its accumulators are
/// those of a convolution of stride 1 with the kernel turned round over the image with stride - 1
/// zero points between its pixels: the same products in the same order, and products with 0.
class ConvTranspose2dOp final : public LinearOp {
 public:
  /// Error bad_value names the field: not positive, groups that do not divide the channels,
  /// output_padding not below stride.
  explicit ConvTranspose2dOp(const ConvTranspose2dGeometry& geometry);
  const ConvTranspose2dGeometry& geometry() const { return geometry_; }

  int64_t in_channels() const override { return geometry_.in_channels; }
  int64_t out_channels() const override { return geometry_.out_channels; }
  Shape weight_shape() const override;
  /// PyTorch's: the second axis of its weights times the kernel.
  int64_t fan_in() const override;
  Shape output_shape(const Shape& input) const override;
  Tensor forward(const Tensor& x, const Tensor& w, sim::ThreadPool* pool) const override;
  /// In float32 always.
  Tensor backward(const LinearBackward& pass, sim::ThreadPool* pool) const override;
  std::string_view rules_word() const override { return "transpose_conv2d"; }
  backends::IntNode integer_node() const override;
  sim::Window2d window() const override;
  int64_t groups() const override { return geometry_.groups; }
  Tensor accumulator_image(const Tensor& codes, int64_t zero) const override;
  Tensor accumulator_weights(const Tensor& codes) const override;

 private:
  /// The convolution that maps the output back to the input.
  kernels::Conv2dShape transposed(const Shape& x) const;

  ConvTranspose2dGeometry geometry_;
};

}  // namespace facsim::fused
