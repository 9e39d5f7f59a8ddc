// SPDX-License-Identifier: Apache-2.0
// The training forward through the device's own integers.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/lower/lower.h"
#include "fused/integer_forward.h"
#include "fused/qat_fused_linear.h"

namespace facsim::fused {

namespace {

/// The smallest scale an observer gives (PyTorch's eps).
constexpr float kSmallestScale = std::numeric_limits<float>::epsilon();

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
  batch.scaled = scale_channels(parts_.weight.value, batch.factor, context.pool);
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

}  // namespace facsim::fused
