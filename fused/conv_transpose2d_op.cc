// SPDX-License-Identifier: Apache-2.0
#include "fused/conv_transpose2d_op.h"

#include <cstring>

#include "fused/kernels/channel_pass.h"
#include "sim/core/error.h"

namespace facsim::fused {

namespace {

void require_field(bool holds, std::string field, int64_t found, std::string expected) {
  if (holds) return;
  throw Error({ErrorCode::bad_value, "ConvTranspose2d " + std::move(field), std::to_string(found),
               std::move(expected), ""});
}

/// [G * A, taps, B] to [G * B, taps, A], group by group.
Tensor channels_swapped(const Tensor& w, int64_t groups, Shape shape) {
  Tensor out = Tensor::uninitialized(DType::float32, std::move(shape));
  const Shape& s = w.shape();
  const int64_t a = s[0] / groups, taps = s[1] * s[2], b = s[3];
  const float* from = w.data<float>();
  float* to = out.data<float>();
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t i = 0; i < a; ++i) {
      for (int64_t t = 0; t < taps; ++t) {
        for (int64_t j = 0; j < b; ++j) to[((g * b + j) * taps + t) * a + i] = *from++;
      }
    }
  }
  return out;
}

/// Float32 dz of all rows.
Tensor gradient_of(const kernels::GradientRows& dz, Shape shape, sim::ThreadPool* pool) {
  Tensor out = Tensor::uninitialized(DType::float32, std::move(shape));
  kernels::masked_affine(dz.gradient, dz.scale, dz.offset, dz.slope, out.data<float>(), pool);
  return out;
}

}  // namespace

ConvTranspose2dOp::ConvTranspose2dOp(const ConvTranspose2dGeometry& geometry)
    : geometry_(geometry) {
  constexpr int64_t kMost = int64_t{1} << 24;
  const auto positive = [](int64_t v, const char* field) {
    require_field(v >= 1 && v <= kMost, field, v, "1..2^24");
  };
  positive(geometry.in_channels, "in_channels");
  positive(geometry.out_channels, "out_channels");
  positive(geometry.groups, "groups");
  for (size_t i = 0; i < 2; ++i) {
    positive(geometry.kernel_size[i], "kernel_size");
    positive(geometry.stride[i], "stride");
    positive(geometry.dilation[i], "dilation");
    require_field(geometry.padding[i] >= 0 && geometry.padding[i] <= kMost, "padding",
                  geometry.padding[i], "0..2^24");
    require_field(
        geometry.output_padding[i] >= 0 && geometry.output_padding[i] < geometry.stride[i],
        "output_padding", geometry.output_padding[i], "0..stride - 1");
  }
  require_field(
      geometry.in_channels % geometry.groups == 0 && geometry.out_channels % geometry.groups == 0,
      "groups", geometry.groups,
      "a divisor of " + std::to_string(geometry.in_channels) + " and " +
          std::to_string(geometry.out_channels) + " channels");
}

Shape ConvTranspose2dOp::weight_shape() const {
  return {geometry_.out_channels, geometry_.kernel_size[0], geometry_.kernel_size[1],
          geometry_.in_channels / geometry_.groups};
}

int64_t ConvTranspose2dOp::fan_in() const {
  return geometry_.out_channels / geometry_.groups * geometry_.kernel_size[0] *
         geometry_.kernel_size[1];
}

Shape ConvTranspose2dOp::output_shape(const Shape& input) const {
  if (input.rank() != 4 || input[3] != geometry_.in_channels || input[1] < 1 || input[2] < 1) {
    throw Error({ErrorCode::shape_mismatch, "ConvTranspose2d input", to_string(input),
                 "(N, H, W, " + std::to_string(geometry_.in_channels) + ")", ""});
  }
  Shape out{input[0], 0, 0, geometry_.out_channels};
  for (size_t i = 0; i < 2; ++i) {
    const int axis = static_cast<int>(i) + 1;
    out[axis] = (input[axis] - 1) * geometry_.stride[i] +
                (geometry_.kernel_size[i] - 1) * geometry_.dilation[i] + 1 +
                geometry_.output_padding[i] - 2 * geometry_.padding[i];
    if (out[axis] < 1) {
      throw Error({ErrorCode::shape_mismatch, "ConvTranspose2d output", to_string(out),
                   "at least one pixel", ""});
    }
  }
  (void)out.numel();  // Error: more elements than a tensor has
  return out;
}

kernels::Conv2dShape ConvTranspose2dOp::transposed(const Shape& x) const {
  const Shape z = output_shape(x);
  const auto& p = geometry_.padding;
  return {z[0],
          z[1],
          z[2],
          geometry_.out_channels,
          geometry_.in_channels,
          geometry_.groups,
          {geometry_.kernel_size, geometry_.stride, geometry_.dilation, {p[0], p[1], p[0], p[1]}}};
}

Tensor ConvTranspose2dOp::forward(const Tensor& x, const Tensor& w, sim::ThreadPool* pool) const {
  Tensor z = Tensor::uninitialized(DType::float32, output_shape(x.shape()));
  const Tensor weights =
      channels_swapped(w, geometry_.groups,
                       {geometry_.in_channels, geometry_.kernel_size[0], geometry_.kernel_size[1],
                        geometry_.out_channels / geometry_.groups});
  kernels::conv2d_transposed(transposed(x.shape()), x.data<float>(), weights.data<float>(),
                             z.data<float>(), pool);
  return z;
}

Tensor ConvTranspose2dOp::backward(const LinearBackward& pass, sim::ThreadPool* pool) const {
  const Tensor x = pass.x.real();
  const kernels::Conv2dShape shape = transposed(x.shape());
  const Shape swapped{geometry_.in_channels, geometry_.kernel_size[0], geometry_.kernel_size[1],
                      geometry_.out_channels / geometry_.groups};
  const Tensor dz = gradient_of(pass.dz, output_shape(x.shape()), pool);
  const Tensor w = channels_swapped(pass.w, geometry_.groups, swapped);
  Tensor dw = Tensor::uninitialized(DType::float32, swapped);
  kernels::BackwardPass run;  // of the convolution that reads dz and gives x
  run.shape = shape;
  run.x = {.data = dz.raw()};
  run.dz.gradient.rows = x.numel() / geometry_.in_channels;
  run.dz.gradient.channels = geometry_.in_channels;
  run.dz.gradient.dy = x.data<float>();
  run.w = w.data<float>();
  run.dw = dw.data<float>();
  kernels::conv2d_backward(run, pool);
  const Tensor dw_own = channels_swapped(dw, geometry_.groups, weight_shape());
  std::memcpy(pass.dw.raw(), dw_own.raw(), dw_own.bytes());
  if (!pass.needs_input_gradient) return {};
  Tensor dx = Tensor::uninitialized(DType::float32, x.shape());
  kernels::conv2d_forward(shape, dz.data<float>(), w.data<float>(), dx.data<float>(), pool);
  return dx;
}

backends::IntNode ConvTranspose2dOp::integer_node() const {
  backends::IntNode node;
  node.op = "transpose_conv2d";
  const auto& p = geometry_.padding;
  node.attributes.window = {
      geometry_.kernel_size, geometry_.stride, geometry_.dilation, {p[0], p[1], p[0], p[1]}};
  node.attributes.groups = geometry_.groups;
  node.attributes.output_padding = geometry_.output_padding;
  return node;
}

sim::Window2d ConvTranspose2dOp::window() const {
  return {geometry_.kernel_size, {1, 1}, geometry_.dilation, {}};
}

Tensor ConvTranspose2dOp::accumulator_image(const Tensor& codes, int64_t zero) const {
  const Shape& in = codes.shape();
  const Shape z = output_shape(in);
  Shape shape{in[0], 0, 0, in[3]};
  std::array<int64_t, 2> before{};
  for (size_t i = 0; i < 2; ++i) {
    const int64_t reach = (geometry_.kernel_size[i] - 1) * geometry_.dilation[i];
    shape[static_cast<int>(i) + 1] = z[static_cast<int>(i) + 1] + reach;
    before[i] = reach - geometry_.padding[i];
  }
  Tensor image = Tensor::uninitialized(codes.dtype(), shape);
  const size_t element = size_of(codes.dtype());
  auto* to = static_cast<std::byte*>(image.raw());
  if (image.numel() > 0) {  // the zero point everywhere, doubling what is there
    image.set_int(0, zero);
    for (size_t done = element; done < image.bytes(); done *= 2) {
      std::memcpy(to + done, to, std::min(done, image.bytes() - done));
    }
  }
  const auto* from = static_cast<const std::byte*>(codes.raw());
  const size_t pixel = static_cast<size_t>(in[3]) * element;
  for (int64_t n = 0; n < in[0]; ++n) {
    for (int64_t ih = 0; ih < in[1]; ++ih) {
      const int64_t h = before[0] + ih * geometry_.stride[0];
      if (h < 0 || h >= shape[1]) continue;
      for (int64_t iw = 0; iw < in[2]; ++iw) {
        const int64_t v = before[1] + iw * geometry_.stride[1];
        if (v < 0 || v >= shape[2]) continue;
        std::memcpy(to + static_cast<size_t>((n * shape[1] + h) * shape[2] + v) * pixel,
                    from + static_cast<size_t>((n * in[1] + ih) * in[2] + iw) * pixel, pixel);
      }
    }
  }
  return image;
}

Tensor ConvTranspose2dOp::accumulator_weights(const Tensor& codes) const {
  Tensor out = Tensor::uninitialized(codes.dtype(), codes.shape());
  const Shape& s = codes.shape();
  const int64_t taps = s[1] * s[2];
  const size_t bytes = static_cast<size_t>(s[3]) * size_of(codes.dtype());
  const auto* from = static_cast<const std::byte*>(codes.raw());
  auto* to = static_cast<std::byte*>(out.raw());
  for (int64_t oc = 0; oc < s[0]; ++oc) {
    for (int64_t t = 0; t < taps; ++t) {
      std::memcpy(to + static_cast<size_t>(oc * taps + taps - 1 - t) * bytes,
                  from + static_cast<size_t>(oc * taps + t) * bytes, bytes);
    }
  }
  return out;
}

}  // namespace facsim::fused
