// SPDX-License-Identifier: Apache-2.0
// Requantizers of layers: from scales and a fused activation, or from given multipliers.
#include <algorithm>
#include <cmath>

#include "backends/lower/requantize-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

ClampBounds clamp_bounds(const OpRules& rules, Activation activation,
                         const quant::QParams& output) {
  const float scale = output.scale.front();
  const int64_t zero_point = output.zero_point.front();
  const int64_t lowest =
      std::max(output.quant_min, output.type.min() + (rules.output_narrow_range ? 1 : 0));
  // zero_point + round(bound / scale) in float32, cut to the codes that exist.
  const auto code_of = [&](float bound) {
    const double steps = sim::round_real(rules.activation_bound_rounding, bound / scale);
    const double code = static_cast<double>(zero_point) + steps;
    return static_cast<int64_t>(
        std::clamp(code, static_cast<double>(lowest), static_cast<double>(output.quant_max)));
  };
  switch (activation) {
    case Activation::none:
      break;
    case Activation::relu:
      return {code_of(0.0f), output.quant_max};
    case Activation::relu6:
      return {code_of(0.0f), code_of(6.0f)};
    case Activation::relu_n1_to_1:
      return {code_of(-1.0f), code_of(1.0f)};
  }
  return {lowest, output.quant_max};
}

double products_per_accumulator_step(const sim::Accumulator& accumulator) {
  return std::ldexp(1.0, accumulator.term ? accumulator.term->shift : 0);
}

sim::Requantizer make_requantizer(const OpRules& rules, const LinearScales& scales,
                                  const LayerBias& bias) {
  quant::check(scales.output, "output");
  detail::LayerValues values;
  values.accumulator_scale.clear();
  values.real_multiplier.clear();
  values.output_scale = scales.output.scale.front();
  for (const float weight_scale : scales.weight_scale) {
    const double step = products_per_accumulator_step(rules.accumulator);
    values.accumulator_scale.push_back(scales.input_scale * weight_scale *
                                       static_cast<float>(step));
    values.real_multiplier.push_back(step * quant::real_multiplier(scales.input_scale, weight_scale,
                                                                   values.output_scale,
                                                                   rules.multiplier));
  }
  if (!rules.requantize_per_channel && scales.weight_scale.size() > 1) {
    throw Error({ErrorCode::unsupported, "weights", "a scale per channel", "one scale per tensor",
                 "the profile's /requantize/granularity"});
  }
  values.zero_point = scales.output.zero_point.front();
  const bool acts_before = detail::names_activation(rules.requantize);
  values.clamp =
      clamp_bounds(rules, acts_before ? Activation::none : scales.activation, scales.output);
  if (acts_before) detail::set_activation_bounds(scales.activation, values);
  values.output = scales.output.type;
  if (bias.codes.dtype() == DType::float32 && !bias.codes.empty()) {
    const auto reals = bias.codes.values<float>();
    values.bias.assign(reals.begin(), reals.end());
  }
  return detail::bind(rules, values);
}

sim::Requantizer make_requantizer(const OpRules& rules, const GivenMultiplier& given) {
  detail::check_given(rules, given);
  detail::LayerValues values;
  values.zero_point = given.zero_point;
  values.clamp = given.clamp;
  values.output = given.output;
  values.given = &given;
  return detail::bind(rules, values);
}

LegalScales legal_scales(const OpRules& rules, float input_scale,
                         std::span<const float> weight_scale, float output_scale) {
  LegalScales legal{{weight_scale.begin(), weight_scale.end()}, output_scale};
  if (rules.multiplier.derivation != quant::MultiplierSpec::Derivation::power_of_two) return legal;
  const auto shift_of = [&](float scale) {
    return std::ilogb(legal.output_scale) - std::ilogb(input_scale) - std::ilogb(scale);
  };
  for (const float scale : weight_scale) {
    const int missing = rules.min_shift - shift_of(scale);
    if (missing > 0) legal.output_scale = std::ldexp(legal.output_scale, missing);
  }
  for (float& scale : legal.weight_scale) {
    const int surplus = shift_of(scale) - rules.max_shift;
    if (surplus > 0) scale = std::ldexp(scale, surplus);
  }
  return legal;
}

}  // namespace facsim::backends
