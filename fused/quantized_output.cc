// SPDX-License-Identifier: Apache-2.0
#include "fused/quantized_output.h"

#include <algorithm>
#include <array>

#include "backends/lower/lower.h"
#include "quant/fake_quantize/learnable.h"

namespace facsim::fused {

QuantizedOutput::QuantizedOutput(const QConfig& qconfig, std::string_view op, ClampForm clamp)
    : profile_(qconfig.profile),
      op_(op),
      clamp_(clamp),
      quantizer_(qconfig.activation ? qconfig.activation(1) : nullptr) {}

void QuantizedOutput::observe(float min, float max) {
  const std::array<float, 1> low{std::clamp(min, clamp_.low, clamp_.high)};
  const std::array<float, 1> high{std::clamp(max, clamp_.low, clamp_.high)};
  quantizer_->observe_range(low, high);
}

void QuantizedOutput::observe(const Tensor& real) {
  const quant::Range range = quant::range_of(real, -1);
  observe(range.min[0], range.max[0]);
}

backends::ClampBounds QuantizedOutput::bounds() const {
  const backends::OpRules rules = profile_ ? profile_->rules(op_) : backends::OpRules{};
  return backends::clamp_bounds(rules, clamp_.activation, quantizer_->qparams());
}

Value QuantizedOutput::take_codes(Tensor codes) {
  output_ = Value(std::move(codes), quantizer_->qparams());
  return output_;
}

Value QuantizedOutput::take_real(Tensor real, const Context& context) {
  if (clamp_.activation != backends::Activation::none) {
    kernels::AffinePass pass;
    pass.rows = 1;
    pass.channels = real.numel();
    pass.z = real.data<float>();
    pass.low = clamp_.low;
    pass.high = clamp_.high;
    pass.y = real.data<float>();
    kernels::affine_clamp(pass, context.pool);
  }
  if (!exists()) {
    output_ = Value(std::move(real));
    return output_;
  }
  if (context.observe) observe(real);
  return take_codes(quantizer_->forward(real).codes);
}

void QuantizedOutput::mask(kernels::MaskedGradient& gradient) const {
  if (output_.quantized()) {
    const backends::ClampBounds bound = bounds();
    gradient.y = output_.codes().raw();
    gradient.y_type = output_.codes().dtype();
    gradient.low = static_cast<float>(bound.min);
    gradient.high = static_cast<float>(bound.max);
  } else if (clamp_.activation != backends::Activation::none) {
    gradient.y = output_.real().raw();
    gradient.y_type = DType::float32;
    gradient.low = clamp_.low;
    gradient.high = clamp_.high;
  }
}

Tensor QuantizedOutput::masked(const Tensor& dy, sim::ThreadPool* pool) const {
  kernels::MaskedGradient gradient;
  gradient.rows = 1;
  gradient.channels = dy.numel();
  gradient.dy = dy.data<float>();
  mask(gradient);
  if (gradient.y == nullptr) return dy;
  Tensor out = Tensor::uninitialized(DType::float32, dy.shape());
  kernels::masked_affine(gradient, nullptr, nullptr, nullptr, out.data<float>(), pool);
  return out;
}

void QuantizedOutput::learn(const Tensor& dy, const Tensor& real) {
  auto* learnable = dynamic_cast<quant::LearnableFakeQuantize*>(quantizer_.get());
  if (learnable == nullptr) return;
  const quant::QParams qparams = learnable->qparams();
  // The device's own codes count: clipped are those at the ends of the type.
  quant::FakeQuantized forward{output_.codes(), output_.real(),
                               Tensor::uninitialized(DType::uint8, dy.shape())};
  for (int64_t i = 0; i < dy.numel(); ++i) {
    const int64_t code = output_.codes().int_at(i);
    forward.inside.data<uint8_t>()[i] = code > qparams.quant_min && code < qparams.quant_max;
  }
  learnable->set_gradient(
      quant::range_gradient(dy, real, forward, qparams, learnable->gradient_factor(dy.numel())));
}

}  // namespace facsim::fused
