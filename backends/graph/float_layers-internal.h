// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "backends/graph/float_graph.h"
#include "backends/json/object_reader-internal.h"

namespace facsim::backends::detail {

inline constexpr int64_t kMaxLayerExtent = 65536;

/// A layer of PyTorch's that float networks have: how many inputs it takes, and the keys it has in
/// JSON besides name, op, inputs and profile.
struct FloatLayer {
  std::string_view name;
  size_t min_inputs, max_inputs;
  void (*read)(json::ObjectReader&, FloatNode&);
};

std::span<const FloatLayer> float_layers();
/// Null for another word.
const FloatLayer* find_float_layer(std::string_view name);

}  // namespace facsim::backends::detail
