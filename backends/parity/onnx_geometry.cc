// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/onnx_geometry-internal.h"

#include "backends/parity/onnx_message-internal.h"

namespace facsim::backends::detail {

namespace {

void read_attribute(OnnxMessage attribute, OnnxNode& node) {
  std::string name;
  std::vector<int64_t> integers;
  while (attribute.next()) {
    if (attribute.field() == 1) name = attribute.data();
    if (attribute.field() == 3 || attribute.field() == 8) attribute.append_integers(integers);
  }
  if (!integers.empty()) node.integers[name] = std::move(integers);
}

OnnxNode read_node(OnnxMessage message) {
  OnnxNode node;
  while (message.next()) {
    if (message.field() == 4) node.op = message.data();
    if (message.field() == 5) read_attribute(message.message(), node);
  }
  return node;
}

}  // namespace

std::vector<OnnxNode> read_onnx_nodes(std::string_view model, const std::string& place) {
  std::vector<OnnxNode> nodes;
  OnnxMessage top(model, 0, place);
  while (top.next()) {
    if (top.field() != 7) continue;
    OnnxMessage graph = top.message();
    while (graph.next()) {
      if (graph.field() == 1) nodes.push_back(read_node(graph.message()));
    }
  }
  return nodes;
}

}  // namespace facsim::backends::detail
