// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/hard_swish.h"

#include "backends/lower/activations.h"
#include "backends/lower/node-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

struct Q15Multiplier {
  int32_t multiplier;
  int exponent;
};

/// TFLite QuantizeMultiplier, then DownScaleInt32ToInt16Multiplier.
Q15Multiplier q15_multiplier(float real) {
  quant::MultiplierSpec spec;
  spec.reduce_to_bits = 16;
  const quant::Multiplier derived = quant::derive_multiplier(real, spec);
  return {static_cast<int32_t>(derived.multiplier), 15 - derived.shift};
}

}  // namespace

/// TFLite Micro hard_swish_common.cc: all scales in float32.
std::shared_ptr<const sim::Op> lower_hard_swish(const Profile& profile, const quant::QParams& input,
                                                const quant::QParams& output) {
  const OpRules& rules = profile.rules_for("hard_swish", input.type);
  detail::require_activation("input", input, rules);
  detail::require_activation("output", output, rules);
  if (rules.algorithm != "tflite.hard_swish_s16") {
    throw Error({ErrorCode::unsupported, "hard_swish", "algorithm \"" + rules.algorithm + "\"",
                 "tflite.hard_swish_s16", ""});
  }
  if (output.type != input.type) {
    throw Error({ErrorCode::unsupported, "hard_swish", "output " + to_string(output.type),
                 to_string(input.type), ""});
  }
  const float high = (1.0f / 128.0f) * input.scale.front();
  const Q15Multiplier product = q15_multiplier(high / output.scale.front());
  const Q15Multiplier reluish = q15_multiplier(high / (3.0f / 32768.0f));
  sim::HardSwishParams params;
  params.type = input.type;
  params.input_zero_point = input.zero_point.front();
  params.output_zero_point = output.zero_point.front();
  params.output_multiplier = product.multiplier;
  params.output_exponent = product.exponent;
  params.reluish_multiplier = reluish.multiplier;
  params.reluish_exponent = reluish.exponent;
  return std::make_shared<sim::HardSwish>(params);
}

}  // namespace facsim::backends

namespace facsim::backends::detail {

std::shared_ptr<const sim::Op> lower_node_hard_swish(const NodeView& node) {
  return lower_hard_swish(node.profile(), node.qparams(0), node.output());
}

}  // namespace facsim::backends::detail
