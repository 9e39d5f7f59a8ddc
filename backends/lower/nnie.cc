// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/platform-internal.h"
#include "sim/core/error.h"
#include "sim/ops/log2_code.h"

namespace facsim::backends::detail {

/// quantize and dequantize; the scale of the codes is the tensor's largest value.
std::shared_ptr<const sim::Op> lower_nnie_log2(const NodeView& node) {
  const bool quantize = node.node().op == "quantize";
  const quant::QParams& codes = quantize ? node.output() : node.qparams(0);
  if (codes.type != sim::kUint8 || codes.per_channel()) {
    throw Error({ErrorCode::unsupported, "log2 codes", sim::to_string(codes.type),
                 "uint8 (bit 7 the sign), one scale per tensor", ""});
  }
  using Direction = sim::Log2MapParams::Direction;
  return std::make_shared<sim::Log2Map>(
      sim::Log2MapParams{quantize ? Direction::quantize : Direction::dequantize,
                         sim::Log2Code::of_largest(codes.scale.front())});
}

}  // namespace facsim::backends::detail
