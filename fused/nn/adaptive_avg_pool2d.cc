// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/adaptive_avg_pool2d.h"

#include "fused/int_graph_builder.h"

namespace facsim::fused::nn {

sim::Window2d AdaptiveAvgPool2d::window_for(const Shape& x) const {
  sim::Window2d window;
  window.kernel = {x[1], x[2]};
  return window;
}

int AdaptiveAvgPool2d::emit(IntGraphBuilder& builder, std::span<const int> inputs) const {
  const backends::IntTensor& x = builder.tensor(inputs[0]);
  backends::IntNode node;
  node.op = "global_avg_pool";
  return builder.add_node(std::move(node), builder.name(), {inputs[0]}, *x.qparams,
                          {1, 1, 1, x.shape[3]});
}

}  // namespace facsim::fused::nn
