// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/blocked.h"

#include "backends/lower/requantize-internal.h"
#include "sim/ops/map_blocked.h"

namespace facsim::backends {

namespace {

std::shared_ptr<const sim::Op> make_blocked(const char* kind, DType input,
                                            sim::Requantizer requantize,
                                            const ScaleBlocks& blocks) {
  sim::MapBlockedParams params;
  params.kind = kind;
  params.input_dtype = input;
  params.requantize = std::move(requantize);
  params.arguments = blocks.scales;
  params.axis = blocks.axis;
  params.block_size = blocks.size;
  return std::make_shared<sim::MapBlocked>(std::move(params));
}

}  // namespace

std::shared_ptr<const sim::Op> lower_quantize_blocked(const Profile& profile,
                                                      const quant::QParams& output,
                                                      const ScaleBlocks& blocks) {
  const OpRules& rules = profile.rules("quantize");
  quant::check(output, "output");
  detail::require_type("output", output.type, rules.activation_types);
  return make_blocked("quantize_blocked", DType::float32,
                      detail::quantizer(rules.activation, output), blocks);
}

std::shared_ptr<const sim::Op> lower_dequantize_blocked(const Profile& profile,
                                                        const quant::QParams& input,
                                                        const ScaleBlocks& blocks) {
  quant::check(input, "input");
  detail::require_type("input", input.type, profile.rules("dequantize").activation_types);
  return make_blocked("dequantize_blocked", input.type.storage(), detail::dequantizer(input),
                      blocks);
}

}  // namespace facsim::backends
