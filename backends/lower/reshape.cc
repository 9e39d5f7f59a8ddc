// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/reshape.h"

#include "backends/lower/node-internal.h"

namespace facsim::backends::detail {

std::shared_ptr<const sim::Op> lower_node_reshape(const NodeView& node) {
  sim::ReshapeParams params;
  params.extents = node.attributes().extents;
  params.dtype = node.tensor(0).dtype;
  params.order = node.attributes().order;
  if (node.tensor(0).qparams || node.output_tensor().qparams) node.require_same_qparams();
  return std::make_shared<sim::Reshape>(std::move(params));
}

std::shared_ptr<const sim::Op> lower_node_flatten(const NodeView& node) {
  return lower_node_reshape(node);
}

}  // namespace facsim::backends::detail
