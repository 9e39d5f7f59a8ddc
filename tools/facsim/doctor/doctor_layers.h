// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "sim/core/tensor.h"

namespace facsim::cli {

/// A network of one layer and codes to run it on.
struct DoctorLayer {
  std::string name;
  backends::IntGraph graph;
  std::vector<Tensor> inputs;
};

/// Layers that reach every family of kernels: 3x3, 1x1, strided, grouped, depthwise and stem
/// convolutions with rows and channels beside the tiles' multiples, linear, pools, elementwise ops,
/// a transposed convolution, softmax and a table. Codes and scales are drawn from `seed`.
std::vector<DoctorLayer> doctor_layers(uint64_t seed);

}  // namespace facsim::cli
