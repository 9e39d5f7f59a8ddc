// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/dynamic_quantize.h"

#include "backends/lower/node-internal.h"

namespace facsim::backends::detail {

/// The rule has no parameters: the profile says whether the platform has it.
std::shared_ptr<const sim::Op> lower_node_dynamic_quantize(const NodeView& node) {
  require_type("output", node.output().type, node.rules("dynamic_quantize").activation_types);
  require_type("output", node.output().type, {sim::kUint8});
  return std::make_shared<sim::DynamicQuantize>();
}

}  // namespace facsim::backends::detail
