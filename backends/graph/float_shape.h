// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "backends/graph/float_graph.h"

namespace facsim::backends {

/// What flows along an edge of a float network, without the batch: an image C x H x W, or
/// `channels` features after a Flatten.
struct FloatShape {
  int64_t channels = 1, height = 1, width = 1;
  bool is_image = true;
  friend bool operator==(const FloatShape&, const FloatShape&) = default;
};

/// "64 x 7 x 7" or "3136 features".
std::string to_string(const FloatShape& shape);

/// The shape after a node. An op that is no PyTorch layer is a user's own and taken as elementwise.
/// Error shape_mismatch (place: the node's) for channels that do not match, a
/// window that does not fit, inputs of different shapes, more than 2^40 values.
FloatShape shape_after(const FloatNode& node, std::span<const FloatShape> inputs);

}  // namespace facsim::backends
