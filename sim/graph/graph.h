// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/ops/op.h"

namespace facsim::sim {

/// An executable integer network: every node's numeric rules are bound. Tensors are numbered;
/// shapes have batch 1 (axis 0), a run takes any batch.
struct Graph {
  struct TensorInfo {
    std::string name;
    DType dtype = DType::int8;
    Shape shape;
  };
  struct Node {
    std::string name;
    std::shared_ptr<const Op> op;
    std::vector<int> inputs;
    int output = -1;
  };
  std::vector<TensorInfo> tensors;
  std::vector<Node> nodes;  ///< in topological order
  std::vector<int> inputs;
  std::vector<int> outputs;
};

/// Checks order, indices, dtypes and shapes of the whole graph (Error with the node's name).
void check(const Graph& graph);

}  // namespace facsim::sim
