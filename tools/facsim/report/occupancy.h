// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "backends/io/npy.h"
#include "sim/graph/graph.h"

namespace facsim::cli {

/// How much of a layer's accumulator is used, in bits of a signed integer that holds the values.
struct LayerOccupancy {
  std::string name;
  std::string op;
  int available = 0;      ///< the profile's accumulator
  int worst_case = 0;     ///< any input could need, by the actual weights
  int observed = 0;       ///< the largest of the images looked at
  int64_t overflows = 0;  ///< accumulators of those images that left the width
};

/// Accumulators of each convolution and linear layer for the first `images` images of `activations`
/// (codes by tensor name).
std::vector<LayerOccupancy> accumulator_occupancy(const sim::Graph& graph,
                                                  const backends::NamedTensors& activations,
                                                  int64_t images);

}  // namespace facsim::cli
