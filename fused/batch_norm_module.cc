// SPDX-License-Identifier: Apache-2.0
#include "fused/batch_norm_module.h"

#include <limits>

#include "fused/kernels/channel_pass.h"
#include "sim/core/error.h"

namespace facsim::fused {

Value BatchNormModule::forward(std::span<const Value> inputs, const Context& context) {
  FACSIM_CHECK_EQ(inputs.size(), size_t{1});
  const int64_t channels = bn_.features();
  const Shape& shape = inputs[0].shape();
  if (shape.rank() < 2 || shape[shape.rank() - 1] != channels) {
    throw Error({ErrorCode::shape_mismatch, type_name() + " input", to_string(shape),
                 std::to_string(channels) + " channels", ""});
  }
  x_ = inputs[0].real();
  batch_ = bn_.uses_batch(context);
  if (batch_) {
    const BatchStatistics statistics = batch_statistics(x_, channels, context.pool);
    affine_ = batch_affine(bn_, statistics, {});
    bn_.update(statistics.mean, statistics.variance, statistics.n);
  } else {
    affine_ = running_affine(bn_, {});
  }
  Tensor y = Tensor::uninitialized(DType::float32, shape);
  kernels::AffinePass pass;
  pass.rows = x_.numel() / channels;
  pass.channels = channels;
  pass.z = x_.data<float>();
  pass.scale = affine_.scale.data();
  pass.offset = affine_.offset.data();
  pass.low = -std::numeric_limits<float>::infinity();
  pass.high = std::numeric_limits<float>::infinity();
  pass.y = y.data<float>();
  kernels::affine_clamp(pass, context.pool);
  return Value(y);
}

std::vector<Tensor> BatchNormModule::backward(const Tensor& dy, const Context& context,
                                              bool needs_input_gradient) {
  const int64_t channels = bn_.features();
  const auto count = static_cast<size_t>(channels);
  kernels::MaskedGradient gradient;
  gradient.rows = dy.numel() / channels;
  gradient.channels = channels;
  gradient.dy = dy.data<float>();
  gradient.z = x_.data<float>();
  gradient.center = affine_.center.data();
  gradient.inverse = affine_.inverse.data();
  std::vector<double> sum_g(count), sum_gx(count);
  kernels::masked_sums(gradient, sum_g.data(), sum_gx.data(), context.pool);
  std::vector<float> offset(count), slope(count);
  const double n = static_cast<double>(gradient.rows);
  for (size_t c = 0; c < count; ++c) {
    bn_.weight.grad.data<float>()[c] = static_cast<float>(sum_gx[c]);
    bn_.bias.grad.data<float>()[c] = static_cast<float>(sum_g[c]);
    offset[c] = batch_ ? static_cast<float>(-affine_.scale[c] * (sum_g[c] / n)) : 0.0f;
    slope[c] = batch_ ? static_cast<float>(-affine_.scale[c] * (sum_gx[c] / n)) : 0.0f;
  }
  if (!needs_input_gradient) return {Tensor()};
  Tensor dx = Tensor::uninitialized(DType::float32, dy.shape());
  kernels::masked_affine(gradient, affine_.scale.data(), offset.data(), slope.data(),
                         dx.data<float>(), context.pool);
  return {dx};
}

}  // namespace facsim::fused
