// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "backends/graph/int_graph.h"

namespace facsim::test {

/// A TFLite network as tests are given it: FOLDER/graph.json (ops, shapes, exact scales) and
/// weights.npz (t<i>: constant i). Tensor numbers and names are kept.
backends::IntGraph import_recorded_network(const std::filesystem::path& folder);

}  // namespace facsim::test
