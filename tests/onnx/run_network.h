// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"

namespace facsim::test {

/// Outputs of a network under a shipped profile, by name, in the layout of the network's file.
/// `inputs` are in that layout too.
std::map<std::string, Tensor> run_network(const backends::IntGraph& network,
                                          const std::string& profile,
                                          const std::vector<Tensor>& inputs);

}  // namespace facsim::test
