// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "backends/graph/int_graph.h"

namespace facsim::backends {

/// facsim's own deployed network: NAME.json with NAME.npz beside it (weights). Versioned
/// ("format": "facsim-network", "version": 1); older versions keep loading. Writing is atomic: both
/// files are complete before either is renamed into its place; the JSON holds the .npz's hash.
/// Reading: everything checked, Error with JSON pointer.
void write_int_graph(const std::filesystem::path& json_file, const IntGraph& graph);
IntGraph read_int_graph(const std::filesystem::path& json_file);

}  // namespace facsim::backends
