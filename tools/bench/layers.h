// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/profile/profile.h"

namespace facsim::bench {

/// The geometry of a convolution or linear layer: extent x extent pixels, a square kernel, padding
/// kernel / 2 on all sides. A linear layer is extent 1, kernel 1.
struct LayerGeometry {
  std::string name;
  std::string kind;  ///< "3x3", "1x1", "depthwise", "stem" or "linear"
  int64_t batch = 1, extent = 1, ic = 1, oc = 1, kernel = 1, stride = 1, groups = 1;

  int64_t output_extent() const;
  int64_t macs() const;
};

/// The layers of `facsim bench layers`, at batch 1 (linear layers at their own batches).
std::vector<LayerGeometry> bench_layers();

/// A layer with random data: uniform codes, scales that spread the outputs over their whole range.
struct LayerCase {
  LayerGeometry geometry;
  Tensor input;              ///< NHWC
  Tensor weights;            ///< OHWI int8
  std::vector<double> bias;  ///< [OC], real
  quant::QParams input_qparams, weight_qparams, output_qparams;

  bool linear() const { return geometry.kind == "linear"; }
  Shape output_shape() const;
};

/// `activation`: int8 (zero points -5 and 3) or uint8 (zero points 0, what follows a ReLU).
LayerCase make_layer_case(const LayerGeometry& geometry, sim::IntType activation, uint64_t seed);

/// The case as a network of one node under the profile's bias rule.
backends::IntGraph graph_of(const LayerCase& layer, const backends::Profile& profile);

}  // namespace facsim::bench
