// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "backends/parity/reduce.h"

namespace facsim::backends::detail {

inline IntNode& node_of(Reproduction& r) { return r.graph.nodes[0]; }
inline const IntNode& node_of(const Reproduction& r) { return r.graph.nodes[0]; }
inline IntTensor& input_of(Reproduction& r, size_t input) {
  return r.graph.tensors[static_cast<size_t>(node_of(r).inputs[input])];
}
inline const IntTensor& input_of(const Reproduction& r, size_t input) {
  return r.graph.tensors[static_cast<size_t>(node_of(r).inputs[input])];
}
inline IntTensor& output_tensor(Reproduction& r) {
  return r.graph.tensors[static_cast<size_t>(node_of(r).output)];
}
inline const IntTensor& output_tensor(const Reproduction& r) {
  return r.graph.tensors[static_cast<size_t>(node_of(r).output)];
}

/// One node of a graph as a network of its own; a tensor that it reads twice is there once.
struct LoneNode {
  IntGraph graph;
  std::vector<int> inputs;  ///< of the network: their numbers in the graph it comes from
};
LoneNode lone_node(const IntGraph& graph, const IntNode& node);

/// `shows`, where a network that is none or cannot be run counts as no.
bool still_shows(const Reproduction& candidate, const StillShows& shows);

/// A weighted layer: convolution, depthwise or linear.
bool is_weighted(const IntNode& node);

/// The taps of the only output in a row: the node reads nothing else. Input and weights are
/// [1, 1, 1, K] of a convolution, [1, K] of a linear layer; [1, 1, K, 1] of depthwise layers and
/// pools; the input of softmax is [1, K]. Taps in the padding are left out. Nothing for other ops,
/// more than one output, or no tap.
std::optional<Reproduction> taps_in_row(const Reproduction& from);
/// Some of the taps of a network that taps_in_row made, by their places.
Reproduction with_taps(const Reproduction& from, const std::vector<size_t>& taps);

}  // namespace facsim::backends::detail
