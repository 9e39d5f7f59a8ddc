// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/graph/int_graph.h"

namespace facsim::backends {

/// Shape of a node's output (batch 1) by its attributes and its inputs' shapes. The node's inputs
/// must be tensors of the graph, as many as its op takes. Error shape_mismatch or bad_value with
/// the node's name.
Shape int_output_shape(const IntGraph& graph, const IntNode& node);

/// Multiply-accumulates of a node for one image, taps that lie in the padding included; 0 for ops
/// that multiply nothing. The graph must be checked.
int64_t int_macs(const IntGraph& graph, const IntNode& node);

}  // namespace facsim::backends
