// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "backends/graph/int_graph.h"
#include "fused/kernels/conv2d_backward.h"
#include "fused/value.h"
#include "sim/core/parallel.h"
#include "sim/core/tensor.h"
#include "sim/ops/conv2d.h"

namespace facsim::fused {

/// The backward pass of z = op(x, w), dz made where it is used.
struct LinearBackward {
  const Value& x;
  kernels::GradientRows dz;
  const Tensor& w;  ///< as the forward pass had them
  Tensor& dw;       ///< [weight_shape], overwritten
  bool needs_input_gradient = true;
  /// Given: in bf16 where the operands allow it.
  std::optional<kernels::IntegerWeights> weights{};
};

/// What the mathematics of fused modules needs to know about a linear operator z = op(x, w): its
/// shapes, its float32 passes, and its integer form. Convolution (depthwise by groups), transposed
/// convolution and matrix product are the implementations; batch norm, activations and quantization
/// are written once above them.
class LinearOp {
 public:
  virtual ~LinearOp() = default;

  virtual int64_t in_channels() const = 0;
  virtual int64_t out_channels() const = 0;
  virtual Shape weight_shape() const = 0;  ///< output channel first
  /// PyTorch's fan_in, by which it initialises: products per output (of a convolution).
  virtual int64_t fan_in() const { return weight_shape().numel() / out_channels(); }
  /// Error shape_mismatch if the input does not fit. The last axis is the output channel.
  virtual Shape output_shape(const Shape& input) const = 0;

  virtual Tensor forward(const Tensor& x, const Tensor& w, sim::ThreadPool* pool) const = 0;
  /// Fills dw and returns dx in x's shape (empty if not needed).
  virtual Tensor backward(const LinearBackward& pass, sim::ThreadPool* pool) const = 0;

  /// The profile's word for its rules: conv2d, depthwise_conv2d, transpose_conv2d or linear.
  virtual std::string_view rules_word() const = 0;
  /// Its node in a deployed graph, without tensors. Error unsupported where there is none.
  virtual backends::IntNode integer_node() const = 0;
  /// The convolution whose accumulators it has: window and groups, over the image and with the
  /// weights [OC, KH, KW, IC / groups] below. The matrix product is a 1x1 one over [N, 1, 1, I].
  virtual sim::Window2d window() const = 0;
  virtual int64_t groups() const = 0;
  /// Its image of codes [N, H, W, C] (or [N, I]), `zero` where a tap reads nothing.
  virtual Tensor accumulator_image(const Tensor& codes, int64_t /*zero*/) const { return codes; }
  virtual Tensor accumulator_weights(const Tensor& codes) const { return codes; }
};

/// The kernel's pass of `shape`, without dx.
kernels::BackwardPass kernel_pass(const kernels::Conv2dShape& shape, const kernels::Activations& x,
                                  const LinearBackward& pass);
/// A Value as the kernels read it: its codes where they can, without making them real in memory.
kernels::Activations activations_of(const Value& x);

}  // namespace facsim::fused
