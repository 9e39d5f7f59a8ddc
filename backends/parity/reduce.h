// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/lower/lower.h"
#include "sim/core/tensor.h"

namespace facsim::backends {

/// A network, one image for it (codes, NHWC, by graph input).
struct Reproduction {
  IntGraph graph;
  std::vector<Tensor> inputs;
};

/// Whether a reproduction still shows what is looked for. May throw facsim::Error for one that
/// cannot be run, which counts as no.
using StillShows = std::function<bool(const Reproduction&)>;

/// True where the outputs of a network differ between two profiles.
bool differs(const Reproduction& at, const Profile& a, const Profile& b);

/// The first node whose output differs between two profiles on the inputs that it has under the
/// first, alone, with those inputs of the first image that shows it. Error bad_value if none does.
Reproduction first_differing_node(const IntGraph& graph, const std::vector<Tensor>& inputs,
                                  const Profile& a, const Profile& b);

/// Makes a reproduction of one node smaller while `shows` holds: one output, fewer taps (delta
/// debugging, Zeller's ddmin), no bias and activation, zero points 0, scales whose whole multiplier
/// is a power of two, and every integer nearer to 0. Convolutions and linear layers lose everything
/// but the taps of one output; element-wise ops all other elements; other ops keep their shape.
Reproduction reduce(Reproduction start, const StillShows& shows);

/// The shortest list for which `shows` holds that ddmin finds: 1-minimal, no single element of it
/// can be left out. `shows(all)` must hold.
std::vector<size_t> ddmin(std::vector<size_t> all,
                          const std::function<bool(const std::vector<size_t>&)>& shows);

}  // namespace facsim::backends
