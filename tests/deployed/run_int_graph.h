// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"

namespace facsim::test {

/// Outputs by name (NHWC) of a network under a shipped profile; nothing if the profile has no rule
/// for an op or a type of it.
std::optional<std::map<std::string, Tensor>> run_int_graph(const backends::IntGraph& graph,
                                                           const std::string& profile,
                                                           const std::vector<Tensor>& inputs);

/// Elements that differ; all of them if shape or type do.
int64_t differing(const Tensor& a, const Tensor& b);

}  // namespace facsim::test
