// SPDX-License-Identifier: Apache-2.0
#include "fused/qat_fused_linear.h"

#include "backends/lower/lower.h"
#include "fused/integer_forward.h"
#include "fused/kernels/channel_pass.h"
#include "sim/core/error.h"

namespace facsim::fused {

namespace {

ClampForm linear_clamp(const LinearParts& parts) {
  return parts.adds || !parts.activation.is_clamp() ? ClampForm{} : parts.activation.clamp();
}

}  // namespace

QatFusedLinear::QatFusedLinear(std::string type_name, LinearParts parts, QConfig qconfig)
    : type_name_(std::move(type_name)),
      parts_(std::move(parts)),
      qconfig_(std::move(qconfig)),
      weight_quantizer_(qconfig_.weight(parts_.op->out_channels())),
      linear_output_(qconfig_, parts_.op->rules_word(), linear_clamp(parts_)) {
  const bool table = !parts_.activation.is_clamp();
  if (parts_.adds) add_.emplace(qconfig_, table ? ClampForm{} : parts_.activation.clamp());
  if (table) lut_.emplace(qconfig_, parts_.activation.lut());
  quantizers_.add("weight_fake_quant", *weight_quantizer_);
  if (!linear_output_.exists()) return;
  if (add_ || lut_) quantizers_.add("linear_post_process", linear_output_.quantizer());
  if (add_ && lut_) quantizers_.add("add_post_process", add_->output().quantizer());
  quantizers_.add("activation_post_process", activation_post_process().quantizer());
}

QuantizedOutput& QatFusedLinear::activation_post_process() {
  if (lut_) return lut_->output();
  return add_ ? add_->output() : linear_output_;
}

std::vector<Parameter*> QatFusedLinear::parameters() {
  std::vector<Parameter*> out = parts_.parameters();
  for (Parameter* p : quantizers_.parameters()) out.push_back(p);
  return out;
}

std::vector<Buffer*> QatFusedLinear::buffers() {
  std::vector<Buffer*> out = parts_.buffers();
  for (Buffer* b : quantizers_.buffers()) out.push_back(b);
  return out;
}

bool QatFusedLinear::uses_batch(const Context& context) const {
  return parts_.bn && parts_.bn->uses_batch(context);
}

// ---- forward ----------------------------------------------------------------------------------

void QatFusedLinear::quantize_weight(const Context& context) {
  weight_ = fold_weight(parts_, weight_quantizer_->spec(), batch_ ? Alive::kept : Alive::as_folded,
                        context.pool);
  if (parts_.bn) running_std_ = parts_.bn->running_std();
  // Weights are at hand, so a quantizer without a range takes theirs.
  if (context.observe || !weight_quantizer_->ready()) observe_weight(weight_, *weight_quantizer_);
  weight_.qparams = weight_quantizer_->qparams();
  weight_.quantized = weight_quantizer_->forward(weight_.scaled, context.pool);
}

Value QatFusedLinear::forward(std::span<const Value> inputs, const Context& context) {
  FACSIM_CHECK_EQ(inputs.size(), parts_.adds ? size_t{2} : size_t{1});
  const bool simulated = context.mode == ForwardMode::simulate;
  if (simulated && (qconfig_.profile == nullptr || !linear_output_.exists())) {
    throw Error({ErrorCode::unsupported, type_name_, "no profile or no output quantizer",
                 "both, for the integer forward", "use the fake_quantize forward"});
  }
  if (simulated && !inputs[0].quantized()) {
    throw Error({ErrorCode::bad_value, type_name_, "a float input in the integer forward", "codes",
                 "quantize the network's input first"});
  }
  x_ = inputs[0];
  batch_ = uses_batch(context);
  z_ = {};
  passes_ = {};
  overflows_ = 0;
  result_z_ = {};
  if (simulated && !context.training && !context.observe) {
    if (!weight_quantizer_->ready()) quantize_weight(context);
    return integer_forward(*this, inputs, *qconfig_.profile, context);
  }
  quantize_weight(context);
  Value y = !simulated ? fake_quantize(x_, context)
            : batch_   ? simulate_batch(x_, context)
                       : simulate(x_, context);
  if (add_) y = add_->forward(y, inputs[1], context);
  if (lut_) y = lut_->forward(y, context);
  return y;
}

Value QatFusedLinear::fake_quantize(const Value& x, const Context& context) {
  Tensor z = parts_.op->forward(x.real(), weight_.quantized.real, context.pool);
  const int64_t channels = parts_.op->out_channels();
  const std::span<const float> conv_bias =
      parts_.bias ? parts_.bias->value.values<float>() : std::span<float>{};
  std::vector<float> offset;
  kernels::AffinePass pass;
  pass.rows = z.numel() / channels;
  pass.channels = channels;
  pass.z = z.data<float>();
  Tensor y = z;
  if (batch_) {
    const BatchStatistics statistics = batch_statistics(z, channels, context.pool);
    affine_ = batch_affine(*parts_.bn, statistics, weight_.factor);
    const BatchStatistics moved = unscaled(statistics, weight_.factor, conv_bias);
    parts_.bn->update(moved.mean, moved.variance, moved.n);
    z_ = z;
    y = Tensor::uninitialized(DType::float32, z.shape());
    pass.scale = affine_.scale.data();
    pass.offset = affine_.offset.data();
  } else {
    for (const double b : folded_bias(parts_, weight_.factor)) {
      offset.push_back(static_cast<float>(b));
    }
    if (!offset.empty()) pass.offset = offset.data();
  }
  pass.low = linear_output_.clamp().low;
  pass.high = linear_output_.clamp().high;
  pass.y = y.data<float>();
  kernels::affine_clamp(pass, context.pool);
  if (linear_output_.learns()) {
    result_z_ = y.clone();
    result_scale_.assign(static_cast<size_t>(channels), 1.0f);
    result_offset_.assign(static_cast<size_t>(channels), 0.0f);
  }
  return linear_output_.take_real(std::move(y), context);
}

// ---- deployment -------------------------------------------------------------------------------

int QatFusedLinear::emit_linear(IntGraphBuilder& builder, std::string name, int x) const {
  const backends::OpRules& rules = qconfig_.profile->rules(parts_.op->rules_word());
  const quant::QParams input = *builder.tensor(x).qparams;
  const FoldedWeight weight =
      fold_weight(parts_, weight_quantizer_->spec(), Alive::as_folded, nullptr);
  const quant::QParams qparams = weight_quantizer_->qparams();
  std::vector<int> inputs{
      x, builder.add_constant(name + ".weight", weight_quantizer_->forward(weight.scaled).codes,
                              qparams)};
  const std::vector<double> real_bias = folded_bias(parts_, weight.factor);
  if (!real_bias.empty()) {
    backends::LayerBias bias =
        backends::quantize_bias(rules, real_bias, input.scale.front(), qparams.scale);
    if (!bias.codes.empty()) {
      std::optional<quant::QParams> bias_qparams;
      if (bias.codes.dtype() != DType::float32) bias_qparams = bias.qparams;
      inputs.push_back(builder.add_constant(name + ".bias", bias.codes, bias_qparams));
    }
  }
  backends::IntNode node = parts_.op->integer_node();
  node.attributes.activation = linear_output_.clamp().activation;
  const Shape shape = parts_.op->output_shape(builder.tensor(x).shape);
  return builder.add_node(std::move(node), std::move(name), std::move(inputs),
                          linear_output_.quantizer().qparams(), shape);
}

int QatFusedLinear::emit(IntGraphBuilder& builder, std::span<const int> inputs) const {
  const bool alone = !add_ && !lut_;
  int y = emit_linear(builder, builder.name(alone ? "" : "linear"), inputs[0]);
  if (add_) y = add_->emit(builder, builder.name(lut_ ? "add" : ""), y, inputs[1]);
  if (lut_) y = lut_->emit(builder, builder.name(), y);
  return y;
}

}  // namespace facsim::fused
