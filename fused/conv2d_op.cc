// SPDX-License-Identifier: Apache-2.0
#include "fused/conv2d_op.h"

#include "fused/kernels/conv2d_backward.h"
#include "fused/reflect_pad.h"
#include "sim/core/error.h"

namespace facsim::fused {

namespace {

void require(bool holds, std::string field, std::string found, std::string expected) {
  if (holds) return;
  throw Error({ErrorCode::bad_value, "Conv2d " + std::move(field), std::move(found),
               std::move(expected), ""});
}

}  // namespace

Conv2dOp::Conv2dOp(const Conv2dGeometry& geometry) : geometry_(geometry) {
  const auto positive = [](int64_t v, const char* field) {
    require(v >= 1 && v <= (int64_t{1} << 24), field, std::to_string(v), "1..2^24");
  };
  positive(geometry.in_channels, "in_channels");
  positive(geometry.out_channels, "out_channels");
  positive(geometry.groups, "groups");
  for (size_t i = 0; i < 2; ++i) {
    positive(geometry.kernel_size[i], "kernel_size");
    positive(geometry.stride[i], "stride");
    positive(geometry.dilation[i], "dilation");
    require(geometry.padding[i] >= 0 && geometry.padding[i] <= (int64_t{1} << 24), "padding",
            std::to_string(geometry.padding[i]), "0..2^24");
  }
  require(
      geometry.in_channels % geometry.groups == 0 && geometry.out_channels % geometry.groups == 0,
      "groups", std::to_string(geometry.groups),
      "a divisor of " + std::to_string(geometry.in_channels) + " and " +
          std::to_string(geometry.out_channels) + " channels");
}

Shape Conv2dOp::weight_shape() const {
  return {geometry_.out_channels, geometry_.kernel_size[0], geometry_.kernel_size[1],
          geometry_.in_channels / geometry_.groups};
}

sim::Window2d Conv2dOp::window() const {
  const auto& p = geometry_.padding;
  return {geometry_.kernel_size, geometry_.stride, geometry_.dilation, {p[0], p[1], p[0], p[1]}};
}

Shape Conv2dOp::output_shape(const Shape& input) const {
  if (input.rank() != 4 || input[3] != geometry_.in_channels) {
    throw Error({ErrorCode::shape_mismatch, "Conv2d input", to_string(input),
                 "(N, H, W, " + std::to_string(geometry_.in_channels) + ")", ""});
  }
  const auto extent = window().output_extent(input[1], input[2]);
  return {input[0], extent[0], extent[1], geometry_.out_channels};
}

kernels::Conv2dShape Conv2dOp::kernel_shape(const Shape& x) const {
  kernels::Conv2dShape shape{
      x[0], x[1], x[2], geometry_.in_channels, geometry_.out_channels, geometry_.groups, window()};
  if (geometry_.padding_mode == PaddingMode::reflect) {
    shape.ih += 2 * geometry_.padding[0];
    shape.iw += 2 * geometry_.padding[1];
    shape.window.padding = {};
  }
  return shape;
}

Tensor Conv2dOp::forward(const Tensor& x, const Tensor& w, sim::ThreadPool* pool) const {
  Tensor z = Tensor::uninitialized(DType::float32, output_shape(x.shape()));
  const bool reflect = geometry_.padding_mode == PaddingMode::reflect;
  const Tensor source = reflect ? reflect_pad(x, geometry_.padding) : x;
  kernels::conv2d_forward(kernel_shape(x.shape()), source.data<float>(), w.data<float>(),
                          z.data<float>(), pool);
  return z;
}

Tensor Conv2dOp::backward(const LinearBackward& pass, sim::ThreadPool* pool) const {
  const bool reflect = geometry_.padding_mode == PaddingMode::reflect;
  const Tensor padded = reflect ? reflect_pad(pass.x.real(), geometry_.padding) : Tensor();
  kernels::BackwardPass run = kernel_pass(
      kernel_shape(pass.x.shape()),
      reflect ? kernels::Activations{.data = padded.raw()} : activations_of(pass.x), pass);
  Tensor dx;
  if (pass.needs_input_gradient) {
    const kernels::Conv2dShape& s = run.shape;
    dx = Tensor::uninitialized(DType::float32, {s.n, s.ih, s.iw, s.ic});
    run.dx = dx.data<float>();
  }
  kernels::conv2d_backward(run, pool);
  return reflect && pass.needs_input_gradient
             ? reflect_pad_gradient(dx, pass.x.shape(), geometry_.padding)
             : dx;
}

std::string_view Conv2dOp::rules_word() const {
  return geometry_.groups > 1 && geometry_.groups == geometry_.in_channels ? "depthwise_conv2d"
                                                                           : "conv2d";
}

backends::IntNode Conv2dOp::integer_node() const {
  if (geometry_.padding_mode != PaddingMode::zeros) {
    throw Error({ErrorCode::unsupported, "Conv2d padding_mode", "reflect",
                 "zeros in the integer forward", "train it with the fake_quantize forward"});
  }
  backends::IntNode node;
  node.op = "conv2d";
  node.attributes.window = window();
  node.attributes.groups = geometry_.groups;
  return node;
}

}  // namespace facsim::fused
