// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "sim/graph/graph.h"

namespace facsim::cli {

/// What people call the tensors of a network: by the nodes that compute them.
class LayerNames {
 public:
  LayerNames() = default;
  explicit LayerNames(const sim::Graph& graph) {
    for (const sim::Graph::Node& node : graph.nodes) {
      nodes_[graph.tensors[static_cast<size_t>(node.output)].name] = node.name;
    }
  }

  /// True if there is no network: tensors of files.
  bool empty() const { return nodes_.empty(); }
  /// The node that computes a tensor; nullptr of inputs and unknown names.
  const std::string* node(const std::string& tensor) const {
    const auto found = nodes_.find(tensor);
    return found == nodes_.end() ? nullptr : &found->second;
  }
  /// The node, or the tensor's own name.
  const std::string& of(const std::string& tensor) const {
    const std::string* found = node(tensor);
    return found == nullptr ? tensor : *found;
  }

 private:
  std::map<std::string, std::string> nodes_;
};

}  // namespace facsim::cli
