// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "fused/int_graph_builder.h"
#include "fused/module.h"

namespace facsim::fused {

/// Runs the nodes a module would deploy, through the profile's lowering, on quantized values: the
/// device's result by construction.
Value integer_forward(const Module& module, std::span<const Value> inputs,
                      const backends::Profile& profile, const Context& context);

/// Runs all nodes of a graph of one module; tensors by number, the inputs already placed.
Tensor run_nodes(const backends::IntGraph& graph, std::vector<Tensor> tensors, int output,
                 const backends::Profile& profile, const Context& context);

}  // namespace facsim::fused
