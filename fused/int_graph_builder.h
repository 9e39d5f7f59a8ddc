// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "backends/graph/int_graph.h"

namespace facsim::fused {

/// Collects the integer nodes of modules: the same nodes whether a module runs in eval or a network
/// is converted, so that the two cannot differ.
class IntGraphBuilder {
 public:
  const backends::IntGraph& graph() const { return graph_; }
  backends::IntGraph take() { return std::move(graph_); }
  const backends::IntTensor& tensor(int number) const {
    return graph_.tensors[static_cast<size_t>(number)];
  }

  /// Name and profile of the network node whose module emits next.
  void begin(std::string node, std::string profile);
  /// The node's own name, or "name.suffix".
  std::string name(std::string_view suffix = {}) const;

  /// A graph input of quantized codes. Shape has batch 1.
  int add_input(std::string name, const quant::QParams& qparams, Shape shape);
  int add_constant(std::string name, Tensor data, std::optional<quant::QParams> qparams);
  /// Completes `node` (op, attributes) with name, inputs and a new output tensor of the same name.
  int add_node(backends::IntNode node, std::string name, std::vector<int> inputs,
               const quant::QParams& output, Shape shape);
  void add_output(int tensor) { graph_.outputs.push_back(tensor); }

 private:
  backends::IntGraph graph_;
  std::string node_ = "node", profile_;
};

}  // namespace facsim::fused
