// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "tools/facsim/accumulator_ranges.h"
#include "tools/facsim/command.h"

namespace facsim::cli {

/// Runs the network on `inputs` (as DeployedNetwork::inputs makes them) and fills each layer's
/// `observed`: the smallest and largest final accumulator of every channel, bias included where it
/// is, as the layer's own accumulator held them. `layers` are accumulator_ranges' of `graph`.
void observe_accumulators(const sim::Graph& graph, const std::vector<Tensor>& inputs,
                          const Globals& globals, std::vector<LayerRange>& layers);

}  // namespace facsim::cli
