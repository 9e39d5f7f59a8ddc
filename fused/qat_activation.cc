// SPDX-License-Identifier: Apache-2.0
#include "fused/qat_activation.h"

#include <cmath>

#include "fused/elementwise.h"
#include "fused/integer_forward.h"

namespace facsim::fused {

namespace {

/// [0, 1) in steps of 2^-bits from the lowest code, or of 2^-(bits - 1) where 0 has the middle one.
quant::QParams unit_qparams(const quant::TensorSpec& spec) {
  quant::QParams q;
  q.type = spec.type;
  q.quant_min = spec.quant_min();
  q.quant_max = spec.quant_max();
  int64_t zero_point = q.quant_min;
  if (spec.zero_point == quant::TensorSpec::ZeroPoint::zero) zero_point = 0;
  if (spec.zero_point == quant::TensorSpec::ZeroPoint::middle) {
    zero_point = (q.type.min() + q.type.max() + 1) / 2;
  }
  const bool middle = zero_point > q.quant_min;
  q.zero_point = {zero_point};
  q.scale = {std::ldexp(1.0f, middle ? 1 - q.type.bits : -q.type.bits)};
  return q;
}

}  // namespace

QatActivation::QatActivation(std::string type_name, backends::IntNode node, LutForm form,
                             const QConfig& qconfig, OutputRange range)
    : type_name_(std::move(type_name)),
      node_(std::move(node)),
      form_(std::move(form)),
      output_(qconfig, node_.op, {}),
      range_(range),
      profile_(qconfig.profile) {
  if (range == OutputRange::unit) {
    output_.quantizer().set_qparams(unit_qparams(output_.quantizer().spec()));
  }
  names_.add("activation_post_process", output_.quantizer());
}

Value QatActivation::forward(std::span<const Value> inputs, const Context& context) {
  FACSIM_CHECK_EQ(inputs.size(), size_t{1});
  x_ = inputs[0];
  Context own = context;
  own.observe = context.observe && range_ == OutputRange::observed;
  if (context.mode == ForwardMode::fake_quantize) {
    return output_.take_real(apply(form_.value, x_.real(), context.pool), own);
  }
  if (own.observe) output_.observe(apply(form_.value, x_.real(), context.pool));
  return output_.take_codes(integer_forward(*this, inputs, *profile_, context).codes());
}

std::vector<Tensor> QatActivation::backward(const Tensor& dy, const Context& context,
                                            bool needs_input_gradient) {
  if (output_.learns()) output_.learn(dy, apply(form_.value, x_.real(), context.pool));
  if (!needs_input_gradient) return {Tensor()};
  return {multiply_by(form_.gradient, x_.real(), output_.masked(dy, context.pool), context.pool)};
}

int QatActivation::emit(IntGraphBuilder& builder, std::span<const int> inputs) const {
  return builder.add_node(node_, builder.name(), {inputs[0]}, output_.quantizer().qparams(),
                          builder.tensor(inputs[0]).shape);
}

}  // namespace facsim::fused
