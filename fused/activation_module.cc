// SPDX-License-Identifier: Apache-2.0
#include "fused/activation_module.h"

#include "backends/lower/lower.h"
#include "fused/elementwise.h"
#include "fused/integer_forward.h"
#include "fused/kernels/channel_pass.h"
#include "sim/core/error.h"

namespace facsim::fused {

ActivationModule::ActivationModule(std::string type_name, Activation activation)
    : type_name_(std::move(type_name)), activation_(std::move(activation)) {}

Value ActivationModule::forward(std::span<const Value> inputs, const Context& context) {
  FACSIM_CHECK_EQ(inputs.size(), size_t{1});
  if (inputs[0].quantized()) {
    FACSIM_CHECK(context.profile != nullptr);
    Value y = integer_forward(*this, inputs, *context.profile, context);
    y_ = y.codes();
    const auto bounds = backends::clamp_bounds(context.profile->rules("relu"),
                                               activation_.clamp().activation, y.qparams());
    low_ = static_cast<float>(bounds.min);
    high_ = static_cast<float>(bounds.max);
    return y;
  }
  const Tensor& x = inputs[0].real();
  if (!activation_.is_clamp()) {
    x_ = x;
    return Value(apply(activation_.lut().value, x, context.pool));
  }
  low_ = activation_.clamp().low;
  high_ = activation_.clamp().high;
  y_ = Tensor::uninitialized(DType::float32, x.shape());
  kernels::AffinePass pass;
  pass.rows = 1;
  pass.channels = x.numel();
  pass.z = x.data<float>();
  pass.low = low_;
  pass.high = high_;
  pass.y = y_.data<float>();
  kernels::affine_clamp(pass, context.pool);
  return Value(y_);
}

std::vector<Tensor> ActivationModule::backward(const Tensor& dy, const Context& context,
                                               bool needs_input_gradient) {
  if (!needs_input_gradient) return {Tensor()};
  if (!activation_.is_clamp()) {
    return {multiply_by(activation_.lut().gradient, x_, dy, context.pool)};
  }
  kernels::MaskedGradient gradient;
  gradient.rows = 1;
  gradient.channels = dy.numel();
  gradient.dy = dy.data<float>();
  gradient.y = y_.raw();
  gradient.y_type = y_.dtype();
  gradient.low = low_;
  gradient.high = high_;
  Tensor dx = Tensor::uninitialized(DType::float32, dy.shape());
  kernels::masked_affine(gradient, nullptr, nullptr, nullptr, dx.data<float>(), context.pool);
  return {dx};
}

int ActivationModule::emit(IntGraphBuilder& builder, std::span<const int> inputs) const {
  backends::IntNode node;
  const auto kind =
      activation_.is_clamp() ? activation_.clamp().activation : backends::Activation::none;
  if (kind == backends::Activation::relu) {
    node.op = "relu";
  } else if (kind == backends::Activation::relu6) {
    node.op = "relu6";
  } else {
    throw Error({ErrorCode::unsupported, type_name_, "not fused with the op before it",
                 "a fusion pattern that ends in it", ""});
  }
  const backends::IntTensor& x = builder.tensor(inputs[0]);
  return builder.add_node(std::move(node), builder.name(), {inputs[0]}, *x.qparams, x.shape);
}

}  // namespace facsim::fused
