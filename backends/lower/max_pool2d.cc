// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/max_pool2d.h"

#include "backends/lower/node-internal.h"

namespace facsim::backends::detail {

std::shared_ptr<const sim::Op> lower_node_max_pool2d(const NodeView& node) {
  const OpRules& rules = node.rules("max_pool2d");
  require_activation("input", node.qparams(0), rules);
  node.require_same_qparams();
  const ClampBounds clamp = clamp_bounds(rules, node.attributes().activation, node.output());
  sim::MaxPool2dParams params;
  params.window = node.attributes().window;
  params.type = node.qparams(0).type;
  params.clamp_min = clamp.min;
  params.clamp_max = clamp.max;
  return std::make_shared<sim::MaxPool2d>(std::move(params));
}

}  // namespace facsim::backends::detail
