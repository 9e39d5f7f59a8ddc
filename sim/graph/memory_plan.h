// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "sim/graph/graph.h"

namespace facsim::sim {

/// Where each intermediate tensor of a graph lives in one arena, for a given number of images.
///
/// Two tensors share bytes only if no node needs both: a tensor lives from the node that writes it
/// to the last node that reads it or a view of it. The output of an op that works in place takes
/// the memory of an input that nobody reads afterwards. Larger tensors are placed first, each at
/// the lowest free offset (the "greedy by size" of TensorFlow Lite Micro's GreedyMemoryPlanner).
struct MemoryPlan {
  /// Who holds a tensor's bytes.
  enum class Home {
    graph_input,   ///< the caller's tensor
    graph_output,  ///< the result's tensor
    arena,         ///< `offset`
    view,          ///< the tensor `view_of`, under another shape
  };
  struct Place {
    Home home = Home::arena;
    size_t offset = 0;  ///< multiple of 64
    size_t bytes = 0;   ///< with 64 readable bytes behind the last element
    int view_of = -1;
  };
  std::vector<Place> tensors;  ///< by tensor number
  size_t arena_bytes = 0;
  /// The most bytes that live at one node: no plan can need less.
  size_t largest_live_set = 0;
  /// The same, of the two largest tensors that live at one node. What a chain of layers needs; a
  /// shortcut that lives beside a branch is a third.
  size_t two_largest_live = 0;
};

/// Plans a checked graph for `images` >= 1.
MemoryPlan plan_memory(const Graph& graph, int64_t images);

}  // namespace facsim::sim
