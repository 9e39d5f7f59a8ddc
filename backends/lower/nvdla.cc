// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "backends/lower/platform-internal.h"
#include "sim/core/error.h"
#include "sim/ops/add.h"
#include "sim/ops/leaky_relu.h"

namespace facsim::backends::detail {

namespace {

using sim::Operand;
using sim::Rounding;
using sim::Step;
using sim::StepKind;

/// v times a positive real as the SDP does it: an int16 multiplier, a shift of 6 bits,
/// half_away_from_zero, saturated to `width`.
std::vector<Step> sdp_scaled(double real, sim::IntType width) {
  quant::MultiplierSpec spec;
  spec.bits = 16;
  const quant::Multiplier scale = quant::derive_multiplier(real, spec);
  if (scale.shift < 0 || scale.shift > 62) {
    throw Error(
        {ErrorCode::unsupported, "scale", fmt::format("right shift {}", scale.shift), "0..62", ""});
  }
  return {make_step(StepKind::mul, Operand::constant(scale.multiplier)),
          make_shr(scale.shift, Rounding::half_away_from_zero), make_resize(width)};
}

/// The output converter: the input's unit to the output's, 17 bits, the output's type.
sim::Requantizer sdp_converter(std::vector<Step> before, double real, const quant::QParams& output,
                               ClampBounds clamp) {
  std::vector<Step> steps = joined(std::move(before), sdp_scaled(real, {17, true}));
  return sim::Requantizer({joined(std::move(steps), range_steps(output.type, clamp))}, {},
                          output.type);
}

void require_no_zero_point(const quant::QParams& qparams) {
  if (qparams.zero_point.front() == 0) return;
  throw Error({ErrorCode::unsupported, "zero point", fmt::format("{}", qparams.zero_point.front()),
               "0", ""});
}

}  // namespace

std::shared_ptr<const sim::Op> lower_nvdla_prelu(const NodeView& node) {
  require_unary(node);
  const quant::QParams& input = node.qparams(0);
  const quant::QParams& output = node.output();
  require_no_zero_point(input);
  require_no_zero_point(output);
  const double alpha = node.attributes().alpha;
  require_finite("leaky_relu", "alpha", alpha);
  if (!(alpha >= 0)) {
    throw Error({ErrorCode::unsupported, "leaky_relu alpha", fmt::format("{}", alpha), ">= 0", ""});
  }
  const double real = static_cast<double>(input.scale.front()) / output.scale.front();
  const ClampBounds codes{output.quant_min, output.quant_max};
  sim::LeakyReluParams params;
  params.input_type = input.type;
  params.positive = sdp_converter({}, real, output, codes);
  try {
    params.negative = sdp_converter(sdp_scaled(alpha, sim::kInt32), real, output, codes);
  } catch (const Error& error) {
    throw with_place(error, fmt::format("leaky_relu alpha {}", node.attributes().alpha));
  }
  return std::make_shared<sim::LeakyRelu>(std::move(params));
}

std::shared_ptr<const sim::Op> lower_nvdla_add(const NodeView& node) {
  const OpRules& rules = node_rules(node);
  const quant::QParams& lhs = node.qparams(0);
  const quant::QParams& rhs = node.qparams(1);
  const quant::QParams& output = node.output();
  for (const quant::QParams* qparams : {&lhs, &rhs, &output}) {
    require_activation("operand", *qparams, rules);
    require_no_zero_point(*qparams);
  }
  const float finer = std::min(lhs.scale.front(), rhs.scale.front());
  const auto shifted = [&](const quant::QParams& qparams) {
    int exponent = 0;
    const float ratio = qparams.scale.front() / finer;
    if (std::frexp(ratio, &exponent) != 0.5F || exponent - 1 > 16) {
      throw Error({ErrorCode::unsupported, "add",
                   fmt::format("scales {} and {}", lhs.scale.front(), rhs.scale.front()),
                   "a ratio of a power of two up to 2^16", "the stage shifts one operand left"});
    }
    return sim::Requantizer({{make_step(StepKind::shl, Operand::constant(exponent - 1))}}, {},
                            {33, true});
  };
  sim::AddParams params;
  params.lhs_type = lhs.type;
  params.rhs_type = rhs.type;
  params.lhs = shifted(lhs);
  params.rhs = shifted(rhs);
  params.output = sdp_converter({}, static_cast<double>(finer) / output.scale.front(), output,
                                clamp_bounds(rules, node.attributes().activation, output));
  return std::make_shared<sim::Add>(std::move(params));
}

}  // namespace facsim::backends::detail
