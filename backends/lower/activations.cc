// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/activations.h"

#include <fmt/format.h>

#include "backends/lower/requantize-internal.h"
#include "sim/core/check.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

int64_t input_radius(int integer_bits, int64_t left_shift) {
  FACSIM_CHECK(left_shift >= 0);
  const int64_t largest = ((int64_t{1} << integer_bits) - 1) << (31 - integer_bits);
  return left_shift > 62 ? 0 : largest >> left_shift;
}

sim::Requantizer scale_program(const OpRules& rules, double real) {
  LayerValues values;
  values.real_multiplier = {real};
  values.output = sim::kInt32;
  values.clamp = whole_range(sim::kInt32);
  return bind(rules, values);
}

sim::Requantizer scale_program(const OpRules& rules, GivenMultiplier given) {
  given.zero_point = 0;
  given.output = sim::kInt32;
  given.clamp = whole_range(sim::kInt32);
  return make_requantizer(rules, given);
}

sim::Requantizer output_program(const OpRules& rules, double real, const quant::QParams& output) {
  LayerValues values;
  values.real_multiplier = {real};
  values.zero_point = output.zero_point.front();
  values.output = output.type;
  values.clamp = clamp_bounds(rules, Activation::none, output);
  return bind(rules, values);
}

sim::Requantizer slope_program(const OpRules& rules, const quant::QParams& input, float slope,
                               const quant::QParams& output) {
  return output_program(
      rules,
      quant::real_multiplier(input.scale.front(), slope, output.scale.front(), rules.multiplier),
      output);
}

sim::Requantizer table_scale(int64_t multiplier, int64_t shift) {
  if (multiplier < 0 || multiplier > INT16_MAX || shift < 0 || shift > 31) {
    throw Error({ErrorCode::unsupported, "multiplier", fmt::format("{} >> {}", multiplier, shift),
                 "0..32767 >> 0..31", "the input scale is too large or too small for the table"});
  }
  return sim::Requantizer({{make_step(sim::StepKind::mul, sim::Operand::constant(multiplier)),
                            make_shr(shift, sim::Rounding::half_up)}},
                          {}, sim::kInt32);
}

}  // namespace facsim::backends::detail
