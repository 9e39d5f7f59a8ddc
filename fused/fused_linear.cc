// SPDX-License-Identifier: Apache-2.0
#include "fused/fused_linear.h"

#include <limits>

#include "fused/elementwise.h"
#include "fused/kernels/channel_pass.h"
#include "sim/core/error.h"

namespace facsim::fused {

namespace {

const float* data_or_null(const std::vector<float>& v) { return v.empty() ? nullptr : v.data(); }

void store(std::span<const double> values, Tensor& grad, double factor = 1) {
  for (size_t c = 0; c < values.size(); ++c) {
    grad.data<float>()[c] = static_cast<float>(values[c] * factor);
  }
}

}  // namespace

FusedLinear::FusedLinear(std::string type_name, LinearParts parts)
    : type_name_(std::move(type_name)), parts_(std::move(parts)) {}

Value FusedLinear::forward(std::span<const Value> inputs, const Context& context) {
  FACSIM_CHECK_EQ(inputs.size(), parts_.adds ? size_t{2} : size_t{1});
  x_ = inputs[0].real();
  z_ = parts_.op->forward(x_, parts_.weight.value, context.pool);
  const int64_t channels = parts_.op->out_channels();
  const std::span<const float> bias =
      parts_.bias ? parts_.bias->value.values<float>() : std::span<float>{};
  affine_ = {};
  batch_ = parts_.bn && parts_.bn->uses_batch(context);
  if (batch_) {
    const BatchStatistics statistics = batch_statistics(z_, channels, context.pool);
    affine_ = batch_affine(*parts_.bn, statistics, {});
    const BatchStatistics moved = unscaled(statistics, {}, bias);
    parts_.bn->update(moved.mean, moved.variance, moved.n);
  } else if (parts_.bn) {
    affine_ = running_affine(*parts_.bn, bias);
  } else if (parts_.bias) {
    affine_.offset.assign(bias.begin(), bias.end());
  }
  const ClampForm clamp = parts_.activation.is_clamp() ? parts_.activation.clamp() : ClampForm{};
  kernels::AffinePass pass;
  pass.rows = z_.numel() / channels;
  pass.channels = channels;
  pass.z = z_.data<float>();
  pass.scale = data_or_null(affine_.scale);
  pass.offset = data_or_null(affine_.offset);
  if (parts_.adds) {
    if (!(inputs[1].shape() == z_.shape())) {
      throw Error({ErrorCode::shape_mismatch, type_name_, "addend " + to_string(inputs[1].shape()),
                   to_string(z_.shape()), ""});
    }
    pass.addend = inputs[1].real().data<float>();
  }
  pass.low = clamp.low;
  pass.high = clamp.high;
  y_ = Tensor::uninitialized(DType::float32, z_.shape());
  pass.y = y_.data<float>();
  kernels::affine_clamp(pass, context.pool);
  if (!parts_.activation.is_clamp()) {
    before_activation_ = y_;
    y_ = apply(parts_.activation.lut().value, before_activation_, context.pool);
  }
  if (!parts_.bn) z_ = {};
  return Value(y_);
}

std::vector<Tensor> FusedLinear::backward(const Tensor& dy, const Context& context,
                                          bool needs_input_gradient) {
  const int64_t channels = parts_.op->out_channels();
  const auto count = static_cast<size_t>(channels);
  kernels::MaskedGradient gradient;
  gradient.rows = dy.numel() / channels;
  gradient.channels = channels;
  Tensor upstream = dy;
  if (!parts_.activation.is_clamp()) {
    upstream = multiply_by(parts_.activation.lut().gradient, before_activation_, dy, context.pool);
  } else if (const ClampForm& clamp = parts_.activation.clamp();
             clamp.activation != backends::Activation::none) {
    gradient.y = y_.data<float>();
    gradient.low = clamp.low;
    gradient.high = clamp.high;
  }
  gradient.dy = upstream.data<float>();
  if (parts_.bn) {
    gradient.z = z_.data<float>();
    gradient.center = affine_.center.data();
    gradient.inverse = affine_.inverse.data();
  }
  std::vector<double> sum_g(count), sum_gx(count);
  kernels::masked_sums(gradient, sum_g.data(), sum_gx.data(), context.pool);

  Tensor d_addend;
  if (parts_.adds) {
    d_addend = Tensor::uninitialized(DType::float32, dy.shape());
    kernels::masked_affine(gradient, nullptr, nullptr, nullptr, d_addend.data<float>(),
                           context.pool);
  }
  kernels::GradientRows dz{.gradient = gradient};
  std::vector<float> offset(count), slope(count);
  if (parts_.bn) {
    store(sum_gx, parts_.bn->weight.grad);
    store(sum_g, parts_.bn->bias.grad);
    const double n = static_cast<double>(gradient.rows);
    for (size_t c = 0; batch_ && c < count; ++c) {
      offset[c] = static_cast<float>(-affine_.scale[c] * (sum_g[c] / n));
      slope[c] = static_cast<float>(-affine_.scale[c] * (sum_gx[c] / n));
    }
    if (!batch_) dz.gradient.z = nullptr;
    dz.scale = affine_.scale.data();
    dz.offset = offset.data();
    dz.slope = slope.data();
  }
  if (parts_.bias) {
    // Behind the batch's own mean a bias has no effect.
    for (size_t c = 0; c < count; ++c) {
      const double scale = batch_ ? 0.0 : parts_.bn ? static_cast<double>(affine_.scale[c]) : 1.0;
      parts_.bias->grad.data<float>()[c] = static_cast<float>(scale * sum_g[c]);
    }
  }
  std::vector<Tensor> out(parts_.adds ? 2 : 1);
  out[0] = parts_.op->backward(
      {Value(x_), dz, parts_.weight.value, parts_.weight.grad, needs_input_gradient}, context.pool);
  if (parts_.adds) out[1] = d_addend;
  return out;
}

}  // namespace facsim::fused
