// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backends/parity/compare.h"
#include "tools/facsim/command.h"
#include "tools/facsim/deployed_network.h"

namespace facsim::cli {

/// How our side computed the first differing element of a tensor, from our own inputs of that node.
struct Divergence {
  std::string tensor, node, op;
  sim::Explanation explanation;
};

struct NetworkComparison {
  backends::ComparisonReport report;    ///< tensors in graph order
  std::vector<Divergence> divergences;  ///< in graph order: the first is where the network parts
};

/// Runs a network on inputs (as DeployedNetwork::inputs makes them) and compares every tensor that
/// `golden` holds, a batch of images at a time. Names the network does not have are structural
/// differences; tensors that golden does not hold are not compared.
NetworkComparison compare_network(const DeployedNetwork& network, const std::vector<Tensor>& inputs,
                                  const backends::NamedTensors& golden, int first_mismatches,
                                  const Globals& globals);

}  // namespace facsim::cli
