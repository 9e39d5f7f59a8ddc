// SPDX-License-Identifier: Apache-2.0
#include "fused/qat_fused_linear.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/lower/lower.h"
#include "fused/integer_forward.h"
#include "fused/kernels/channel_pass.h"
#include "sim/core/error.h"

namespace facsim::fused {

namespace {

/// The smallest scale an observer gives (PyTorch's eps).
constexpr float kSmallestScale = std::numeric_limits<float>::epsilon();

ClampForm linear_clamp(const LinearParts& parts) {
  return parts.adds || !parts.activation.is_clamp() ? ClampForm{} : parts.activation.clamp();
}

/// Mean and variance of z = k * acc from the exact sums.
BatchStatistics real_statistics(const sim::AccumulatorStatistics& s, int64_t n,
                                std::span<const double> k) {
  BatchStatistics out;
  out.n = n;
  const auto count = static_cast<double>(n);
  for (size_t c = 0; c < s.sum.size(); ++c) {
    const sim::int128 spread =
        s.sum_of_squares[c] * n - static_cast<sim::int128>(s.sum[c]) * s.sum[c];
    out.mean.push_back(k[c] * (static_cast<double>(s.sum[c]) / count));
    out.variance.push_back(k[c] * k[c] * (static_cast<double>(spread) / count / count));
  }
  return out;
}

/// The profile can give each channel's accumulators a multiplier of its own, of any value.
bool rescales_per_channel(const backends::OpRules& rules) {
  return rules.requantize_per_channel &&
         rules.multiplier.derivation != quant::MultiplierSpec::Derivation::power_of_two &&
         rules.weight.scale != quant::TensorSpec::Scale::power_of_two;
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

FoldedWeight QatFusedLinear::folded(bool batch) const {
  FoldedWeight weight;
  weight.factor = fold_factor(parts_);
  weight.independent.assign(weight.factor.size(), false);
  if (batch) keep_alive(parts_, weight_quantizer_->spec(), weight);
  weight.scaled =
      parts_.bn ? scale_channels(parts_.weight.value, weight.factor) : parts_.weight.value;
  return weight;
}

void QatFusedLinear::quantize_weight(const Context& context) {
  weight_ = folded(batch_);
  if (parts_.bn) running_std_ = parts_.bn->running_std();
  // Weights are at hand, so a quantizer without a range takes theirs.
  if (context.observe || !weight_quantizer_->ready()) weight_quantizer_->observe(weight_.scaled);
  weight_.qparams = weight_quantizer_->qparams();
  weight_.quantized = weight_quantizer_->forward(weight_.scaled);
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

Value QatFusedLinear::simulate(const Value& x, const Context& context) {
  const backends::OpRules& rules = qconfig_.profile->rules(parts_.op->rules_word());
  const std::vector<double> bias = folded_bias(parts_, weight_.factor);
  const float input_scale = x.qparams().scale.front();
  Tensor units;
  if (!bias.empty()) {
    units = backends::accumulator_bias(
        rules, backends::quantize_bias(rules, bias, input_scale, weight_.qparams.scale),
        input_scale, weight_.qparams.scale);
  }
  const auto params = accumulator_params(*parts_.op, rules, x.qparams(), weight_, units);
  if (context.observe || linear_output_.learns() || !accumulator_is_exact(params)) {
    return simulate_accumulators(x, weight_, params, bias, context);
  }
  IntGraphBuilder builder;
  Shape shape = x.shape();
  shape[0] = 1;
  const int input = builder.add_input("x", x.qparams(), shape);
  const int output = emit_linear(builder, "linear", input);
  return linear_output_.take_codes(
      run_nodes(builder.graph(), {x.codes()}, output, *qconfig_.profile, context));
}

Value QatFusedLinear::simulate_accumulators(const Value& x, const FoldedWeight& weight,
                                            const sim::Conv2dParams& params,
                                            std::span<const double> bias, const Context& context) {
  Accumulators accumulators = accumulate(*parts_.op, params, x.codes(), context);
  if (context.training && !accumulator_is_exact(params)) {
    passes_ = exact_accumulators(*parts_.op, params, x.codes(), accumulators.values, context);
    const auto passes = passes_.values<uint8_t>();
    overflows_ = std::count(passes.begin(), passes.end(), uint8_t{0});
  }
  return finish(std::move(accumulators), x.qparams(), weight.qparams.scale, bias, {}, true,
                context);
}

Value QatFusedLinear::finish(Accumulators accumulators, const quant::QParams& input,
                             std::vector<float> scale, std::span<const double> bias,
                             const std::vector<bool>& silent, bool bias_inside,
                             const Context& context) {
  const backends::OpRules& rules = qconfig_.profile->rules(parts_.op->rules_word());
  const float input_scale = input.scale.front();
  backends::LayerBias layer_bias;
  Tensor units;
  if (!bias.empty()) {
    layer_bias = backends::quantize_bias(rules, bias, input_scale, scale);
    units = backends::accumulator_bias(rules, layer_bias, input_scale, scale);
  }
  const auto count = accumulators.statistics.sum.size();
  // The unrounded result is affine in the accumulator, so its range is that of its ends.
  const bool learns = linear_output_.learns();
  double low = std::numeric_limits<double>::infinity(), high = -low;
  result_scale_.assign(learns ? count : 0, 0);
  result_offset_.assign(learns ? count : 0, 0);
  for (size_t c = 0; c < count; ++c) {
    const double unit = static_cast<double>(input_scale) * scale[scale.size() == 1 ? 0 : c];
    const bool added = bias_inside && !units.empty();  // the accumulators hold the bias already
    const double offset = bias.empty() || added ? 0.0 : bias[c];
    const bool quiet = !silent.empty() && silent[c];
    const double factor = quiet ? 0.0 : unit;
    low = std::min(low, factor * static_cast<double>(accumulators.statistics.min[c]) + offset);
    high = std::max(high, factor * static_cast<double>(accumulators.statistics.max[c]) + offset);
    if (learns) {
      result_scale_[c] = static_cast<float>(factor);
      result_offset_[c] = static_cast<float>(offset);
    }
  }
  if (context.observe) {
    linear_output_.observe(static_cast<float>(low), static_cast<float>(high));
  }
  const sim::Requantizer requantizer = backends::make_requantizer(
      rules,
      {input_scale, scale, linear_output_.quantizer().qparams(), linear_output_.clamp().activation},
      layer_bias);
  if (learns) result_z_ = accumulators.values;
  return linear_output_.take_codes(
      requantize(accumulators, bias_inside ? Tensor() : units, silent, requantizer, context));
}

Value QatFusedLinear::simulate_batch(const Value& x, const Context& context) {
  const backends::OpRules& rules = qconfig_.profile->rules(parts_.op->rules_word());
  sim::Conv2dParams params = accumulator_params(*parts_.op, rules, x.qparams(), weight_, {});
  const bool exact = accumulator_is_exact(params);
  if (!exact) params.accumulator = kExactAccumulator;
  Accumulators accumulators = accumulate(*parts_.op, params, x.codes(), context);
  const sim::AccumulatorStatistics& sums = accumulators.statistics;
  const auto count = sums.sum.size();
  const int64_t n = accumulators.values.numel() / static_cast<int64_t>(count);
  const double input_scale = x.qparams().scale.front();
  std::vector<double> k;
  for (size_t c = 0; c < count; ++c) k.push_back(input_scale * weight_.weight_scale(c));
  const BatchStatistics z = real_statistics(sums, n, k);

  const std::span<const float> conv_bias =
      parts_.bias ? parts_.bias->value.values<float>() : std::span<float>{};
  affine_ = batch_affine(*parts_.bn, z, weight_.factor);
  const BatchStatistics moved = unscaled(z, weight_.factor, conv_bias);
  parts_.bn->update(moved.mean, moved.variance, n);

  std::vector<float> scale;
  std::vector<double> bias;
  std::vector<bool> silent;
  bool any_silent = false;
  for (size_t c = 0; c < count; ++c) {
    const double mean = static_cast<double>(sums.sum[c]) / static_cast<double>(n);
    // From here on in units of the accumulator.
    affine_.center[c] = static_cast<float>(mean);
    affine_.inverse[c] = static_cast<float>(k[c] * static_cast<double>(affine_.inverse[c]));
    scale.push_back(weight_.weight_scale(c) * affine_.scale[c]);
    // A channel without gamma is constant: the device has no weights there.
    silent.push_back(!(scale[c] >= kSmallestScale));
    any_silent = any_silent || silent[c];
    if (silent[c]) scale[c] = kSmallestScale;
    const double beta = parts_.bn->bias.value.data<float>()[c];
    bias.push_back(silent[c] ? beta : beta - input_scale * static_cast<double>(scale[c]) * mean);
  }
  if (!any_silent) silent.clear();
  z_ = accumulators.values;
  if (exact && rescales_per_channel(rules)) {
    const auto input = static_cast<float>(input_scale);
    params.bias = backends::accumulator_bias(
        rules, backends::quantize_bias(rules, bias, input, scale), input, scale);
    if (accumulator_is_exact(params)) {
      return finish(std::move(accumulators), x.qparams(), std::move(scale), bias, silent, false,
                    context);
    }
  }
  return simulate_refolded(x, z, context);
}

Value QatFusedLinear::simulate_refolded(const Value& x, const BatchStatistics& z,
                                        const Context& context) {
  // gamma / sqrt(var_u + eps) = a * f, since var_u = var_z / f^2.
  FoldedWeight batch;
  for (size_t c = 0; c < weight_.factor.size(); ++c) {
    batch.factor.push_back(affine_.scale[c] * weight_.factor[c]);
  }
  batch.scaled = scale_channels(parts_.weight.value, batch.factor);
  const quant::TensorSpec& spec = weight_quantizer_->spec();
  const quant::Range range = quant::range_of(
      batch.scaled,
      spec.granularity == quant::TensorSpec::Granularity::per_channel ? spec.channel_axis : -1);
  batch.qparams = quant::choose_qparams(range.min, range.max, spec);
  batch.quantized = quant::fake_quantize(batch.scaled, batch.qparams, spec);
  std::vector<double> bias;
  for (size_t c = 0; c < batch.factor.size(); ++c) {
    bias.push_back(parts_.bn->bias.value.data<float>()[c] -
                   static_cast<double>(affine_.scale[c]) * z.mean[c]);
  }
  const backends::OpRules& rules = qconfig_.profile->rules(parts_.op->rules_word());
  const float input_scale = x.qparams().scale.front();
  const auto params = accumulator_params(
      *parts_.op, rules, x.qparams(), batch,
      backends::accumulator_bias(
          rules, backends::quantize_bias(rules, bias, input_scale, batch.qparams.scale),
          input_scale, batch.qparams.scale));
  return simulate_accumulators(x, batch, params, bias, context);
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

// ---- backward ---------------------------------------------------------------------------------

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

  Tensor dz = dy;
  if (batch_) {
    std::vector<float> offset(count), slope(count);
    const auto n = static_cast<double>(gradient.rows);
    for (size_t c = 0; c < count; ++c) {
      offset[c] = static_cast<float>(-affine_.scale[c] * (sum_g[c] / n));
      slope[c] = static_cast<float>(-affine_.scale[c] * (sum_gx[c] / n));
    }
    dz = Tensor::uninitialized(DType::float32, dy.shape());
    kernels::masked_affine(gradient, affine_.scale.data(), offset.data(), slope.data(),
                           dz.data<float>(), context.pool);
  } else if (gradient.y != nullptr) {
    dz = Tensor::uninitialized(DType::float32, dy.shape());
    kernels::masked_affine(gradient, nullptr, nullptr, nullptr, dz.data<float>(), context.pool);
  }
  Tensor dw = Tensor::uninitialized(DType::float32, parts_.weight.value.shape());
  parts_.op->weight_gradient(x_.real(), dz, dw, context.pool);
  store_gradients(dw, sum_g, sum_gx);
  if (!needs_input_gradient) return {};
  return parts_.op->input_gradient(x_.shape(), dz, weight_.quantized.real, context.pool);
}

/// With G = x^T dz, M the weight quantizer's mask, f the factor, s = running_std:
///   dw = f M G;  without batch norm db = sum g
///   batch:  dbeta = sum g;  dgamma = sign(f) sum g x_hat + (sum M G w - sum G wq / f) / s;  db = 0
///   frozen: dbeta = sum g;  dgamma = (sum g (b - running_mean) + sum M G w) / s;  db = f sum g
void QatFusedLinear::store_gradients(const Tensor& dw, std::span<const double> sum_g,
                                     std::span<const double> sum_gx) {
  const Tensor masked = weight_quantizer_->backward(dw, weight_.scaled, weight_.quantized);
  const auto count = sum_g.size();
  const int64_t inner = dw.numel() / static_cast<int64_t>(count);
  for (size_t c = 0; c < count; ++c) {
    const int64_t first = static_cast<int64_t>(c) * inner;
    const float* gradient = dw.data<float>() + first;
    const float* passed = masked.data<float>() + first;
    const float* w = parts_.weight.value.data<float>() + first;
    const float* wq = weight_.quantized.real.data<float>() + first;
    float* grad = parts_.weight.grad.data<float>() + first;
    const float factor = weight_.factor[c];
    double passed_w = 0, gradient_wq = 0;
    for (int64_t i = 0; i < inner; ++i) {
      grad[i] = factor * passed[i];
      passed_w += static_cast<double>(passed[i]) * w[i];
      gradient_wq += static_cast<double>(gradient[i]) * wq[i];
    }
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
        dgamma += (passed_w - gradient_wq / static_cast<double>(factor)) /
                  static_cast<double>(running_std_[c]);
      }
    } else {
      const double shift = static_cast<double>(parts_.bias_of(c)) -
                           static_cast<double>(parts_.bn->running_mean.value.data<float>()[c]);
      dgamma = (sum_g[c] * shift + passed_w) / static_cast<double>(running_std_[c]);
    }
    parts_.bn->weight.grad.data<float>()[c] = static_cast<float>(dgamma);
  }
}

// ---- deployment -------------------------------------------------------------------------------

int QatFusedLinear::emit_linear(IntGraphBuilder& builder, std::string name, int x) const {
  const backends::OpRules& rules = qconfig_.profile->rules(parts_.op->rules_word());
  const quant::QParams input = *builder.tensor(x).qparams;
  const FoldedWeight weight = folded(false);
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
