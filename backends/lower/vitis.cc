// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "backends/lower/platform-internal.h"
#include "sim/core/error.h"
#include "sim/ops/vitis_activation.h"

namespace facsim::backends::detail {

namespace {

using VitisFunction = sim::VitisActivation::Function;

VitisFunction vitis_function(const std::string& op) {
  if (op == "leaky_relu") return VitisFunction::leaky_relu;
  if (op == "sigmoid") return VitisFunction::sigmoid;
  if (op == "tanh") return VitisFunction::tanh;
  return VitisFunction::hard_swish;
}

int limited_position(std::string_view what, const quant::QParams& qparams) {
  const int position = fix_position(what, qparams);
  if (position >= -16 && position <= 31) return position;
  throw Error({ErrorCode::unsupported, std::string(what), fmt::format("scale 2^{}", -position),
               "2^-31..2^16", ""});
}

}  // namespace

std::shared_ptr<const sim::Op> lower_vitis_activation(const NodeView& node) {
  require_unary(node);
  if (node.node().op == "leaky_relu") {
    require_finite("leaky_relu", "alpha", node.attributes().alpha);
  }
  const quant::QParams& output = node.output();
  return table_of_codes(node.qparams(0), output,
                        sim::VitisActivation{vitis_function(node.node().op),
                                             limited_position("input", node.qparams(0)),
                                             limited_position("output", output), output.type});
}

}  // namespace facsim::backends::detail
