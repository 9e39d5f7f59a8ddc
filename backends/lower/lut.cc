// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/lut.h"

#include "backends/lower/node-internal.h"

namespace facsim::backends::detail {

std::shared_ptr<const sim::Op> lower_node_lut(const NodeView& node) {
  const OpRules& rules = node.rules("lut");
  require_activation("input", node.qparams(0), rules);
  require_activation("output", node.output(), rules);
  return std::make_shared<sim::Lut>(
      sim::LutParams{node.qparams(0).type, node.output().type, node.attributes().table});
}

}  // namespace facsim::backends::detail
