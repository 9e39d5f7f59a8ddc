// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/avg_pool2d.h"

#include "fused/int_graph_builder.h"

namespace facsim::fused::nn {

int AvgPool2d::emit(IntGraphBuilder& builder, std::span<const int> inputs) const {
  const backends::IntTensor& x = builder.tensor(inputs[0]);
  backends::IntNode node;
  node.op = "avg_pool2d";
  node.attributes.window = window_;
  node.attributes.count_include_pad = !(window_.padding == sim::Padding2d{});
  const auto extent = window_.output_extent(x.shape[1], x.shape[2]);
  return builder.add_node(std::move(node), builder.name(), {inputs[0]}, *x.qparams,
                          {1, extent[0], extent[1], x.shape[3]});
}

}  // namespace facsim::fused::nn
