// SPDX-License-Identifier: Apache-2.0
// Gradients of what either forward kept.
#include <cmath>

#include "fused/kernels/channel_pass.h"
#include "fused/kernels/weight_pass.h"
#include "fused/qat_fused_linear.h"

namespace facsim::fused {

std::vector<Tensor> QatFusedLinear::backward(const Tensor& dy, const Context& context,
                                             bool needs_input_gradient) {
  Tensor g = dy;
  if (lut_) g = lut_->backward(g, context);
  std::vector<Tensor> out(1);
  if (add_) {
    g = add_->backward(g, context);
    out.push_back(g);
  }
  out[0] = linear_backward(g, context, needs_input_gradient);
  return out;
}

Tensor QatFusedLinear::linear_backward(const Tensor& upstream, const Context& context,
                                       bool needs_input_gradient) {
  const Tensor dy = passes_.empty() ? upstream : quant::straight_through(upstream, passes_);
  const int64_t channels = parts_.op->out_channels();
  const auto count = static_cast<size_t>(channels);
  kernels::MaskedGradient gradient;
  gradient.rows = dy.numel() / channels;
  gradient.channels = channels;
  gradient.dy = dy.data<float>();
  linear_output_.mask(gradient);
  if (batch_) {
    gradient.z = z_.raw();
    gradient.z_type = z_.dtype();
    gradient.center = affine_.center.data();
    gradient.inverse = affine_.inverse.data();
  }
  if (linear_output_.learns()) {
    kernels::AffinePass pass;
    pass.rows = gradient.rows;
    pass.channels = channels;
    Tensor real = Tensor::uninitialized(DType::float32, dy.shape());
    if (result_z_.dtype() == DType::float32) {
      real = result_z_.clone();
    } else {
      for (int64_t i = 0; i < real.numel(); ++i) {
        real.data<float>()[i] = static_cast<float>(result_z_.int_at(i));
      }
    }
    pass.z = real.data<float>();
    pass.scale = result_scale_.data();
    pass.offset = result_offset_.data();
    pass.low = linear_output_.clamp().low;
    pass.high = linear_output_.clamp().high;
    pass.y = real.data<float>();
    kernels::affine_clamp(pass, context.pool);
    linear_output_.learn(dy, real);
  }
  std::vector<double> sum_g(count), sum_gx(count);
  kernels::masked_sums(gradient, sum_g.data(), sum_gx.data(), context.pool);

  kernels::GradientRows dz{.gradient = gradient};
  std::vector<float> offset(count), slope(count);
  if (batch_) {
    const auto n = static_cast<double>(gradient.rows);
    for (size_t c = 0; c < count; ++c) {
      offset[c] = static_cast<float>(-affine_.scale[c] * (sum_g[c] / n));
      slope[c] = static_cast<float>(-affine_.scale[c] * (sum_gx[c] / n));
    }
    dz.scale = affine_.scale.data();
    dz.offset = offset.data();
    dz.slope = slope.data();
  }
  Tensor dw = Tensor::uninitialized(DType::float32, parts_.weight.value.shape());
  LinearBackward pass{x_, dz, weight_.quantized.real, dw, needs_input_gradient};
  if (context.grad == GradientArithmetic::bf16) {
    pass.weights = {weight_.quantized.codes.raw(), weight_.quantized.codes.dtype(),
                    weight_.qparams.zero_point, weight_.qparams.scale};
  }
  Tensor dx = parts_.op->backward(pass, context.pool);
  store_gradients(dw, sum_g, sum_gx, context.pool);
  return dx;
}

/// With G = x^T dz, M the weight quantizer's mask, f the factor, s = running_std:
///   dw = f M G;  without batch norm db = sum g
///   batch:  dbeta = sum g;  dgamma = sign(f) sum g x_hat + (sum M G w - sum G wq / f) / s;  db = 0
///   frozen: dbeta = sum g;  dgamma = (sum g (b - running_mean) + sum M G w) / s;  db = f sum g
void QatFusedLinear::store_gradients(const Tensor& dw, std::span<const double> sum_g,
                                     std::span<const double> sum_gx, sim::ThreadPool* pool) {
  // A learned quantizer's own gradients; to the weights all quantizers are straight through.
  if (!weight_quantizer_->learned().empty()) {
    weight_quantizer_->backward(dw, weight_.scaled, weight_.quantized);
  }
  const auto count = sum_g.size();
  const auto channels = static_cast<int64_t>(count);
  std::vector<double> passed_w(count), gradient_wq(count);
  kernels::masked_weight_gradient({.channels = channels,
                                   .inner = dw.numel() / channels,
                                   .gradient = dw.data<float>(),
                                   .inside = weight_.quantized.inside.data<uint8_t>(),
                                   .w = parts_.weight.value.data<float>(),
                                   .wq = weight_.quantized.real.data<float>(),
                                   .factor = weight_.factor.data(),
                                   .grad = parts_.weight.grad.data<float>(),
                                   .passed_w = passed_w.data(),
                                   .gradient_wq = gradient_wq.data()},
                                  pool);
  for (size_t c = 0; c < count; ++c) {
    const float factor = weight_.factor[c];
    if (parts_.bias) {
      const double db = !parts_.bn ? sum_g[c] : batch_ ? 0.0 : factor * sum_g[c];
      parts_.bias->grad.data<float>()[c] = static_cast<float>(db);
    }
    if (!parts_.bn) continue;
    parts_.bn->bias.grad.data<float>()[c] = static_cast<float>(sum_g[c]);
    double dgamma = 0;
    if (batch_) {
      dgamma = std::copysign(1.0, static_cast<double>(factor)) * sum_gx[c];
      if (!weight_.independent[c]) {
        dgamma += (passed_w[c] - gradient_wq[c] / static_cast<double>(factor)) /
                  static_cast<double>(running_std_[c]);
      }
    } else {
      const double shift = static_cast<double>(parts_.bias_of(c)) -
                           static_cast<double>(parts_.bn->running_mean.value.data<float>()[c]);
      dgamma = (sum_g[c] * shift + passed_w[c]) / static_cast<double>(running_std_[c]);
    }
    parts_.bn->weight.grad.data<float>()[c] = static_cast<float>(dgamma);
  }
}

}  // namespace facsim::fused
