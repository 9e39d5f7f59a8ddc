// SPDX-License-Identifier: Apache-2.0
// One layer, and our simulator's output of it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/profile/profile.h"
#include "sim/kernels/isa.h"

namespace facsim::test {

/// One layer with its data: what both sides are given.
struct Layer {
  std::string op;
  backends::NodeAttributes attributes;
  std::vector<Tensor> inputs;           ///< computed tensors, NHWC or [N, C]
  std::vector<quant::QParams> qparams;  ///< of `inputs`
  Tensor weights;                       ///< OHWI or [O, I]; empty: none
  quant::QParams weight;
  Tensor bias;  ///< int32 accumulator units or float32 real; empty: none
  quant::QParams output;

  int64_t channels() const { return weights.shape()[0]; }
  float weight_scale(int64_t channel) const;
  std::string text() const;
};

/// The output by our simulator: the layer as a one-node network under the profile.
/// Error unsupported if the profile refuses it.
Tensor simulate(const Layer& layer, const backends::Profile& profile, sim::Isa isa);

/// Clamp bounds in codes, computed as a caller of the peer does: zero_point + nearest(bound / s).
std::array<int64_t, 2> clamp_codes(const Layer& layer);

}  // namespace facsim::test
