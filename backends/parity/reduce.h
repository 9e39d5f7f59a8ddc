// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/io/npy.h"
#include "backends/lower/lower.h"
#include "sim/core/tensor.h"

namespace facsim::backends {

/// A network of one node and images for it (codes, NHWC, by graph input).
struct Reproduction {
  IntGraph graph;
  std::vector<Tensor> inputs;
  /// The node's output where a recording holds it; cut together with the network.
  struct Outputs {
    Tensor ours, theirs;  ///< as computed on these inputs, as recorded
  };
  std::optional<Outputs> recorded{};
};

/// Whether a reproduction still shows what is looked for. May throw facsim::Error for one that
/// cannot be run, which counts as no; anything else ends the search.
using StillShows = std::function<bool(const Reproduction&)>;

/// A side that is computed: the network's profile, and the profiles that single nodes name (may be
/// empty where none does). The profile must outlive it.
struct SimulatedSide {
  const Profile& profile;
  ProfileResolver others{};
};

/// What a side gives for the output of a reproduction. Error as lower.
Tensor output_of(const Reproduction& at, const SimulatedSide& side);
/// Whether the outputs of two sides differ in a bit.
bool differs(const Reproduction& at, const SimulatedSide& a, const SimulatedSide& b);
/// Whether a side still gives what it gave before the network was cut, and the recording holds
/// something else. False without a recorded output.
bool differs_from_recording(const Reproduction& at, const SimulatedSide& side);

/// The first node that shows it alone, with up to 16 images that show it; nothing if none does.
/// A node's inputs are golden's (arrays by tensor name, NHWC) where golden holds them, else what
/// `side` computes from those before. Error bad_value without images, shape_mismatch for a golden
/// array that does not fit its tensor, and whatever `shows` throws.
std::optional<Reproduction> first_node(const IntGraph& graph, const std::vector<Tensor>& inputs,
                                       const NamedTensors& golden, const SimulatedSide& side,
                                       const StillShows& shows);

/// Cuts the output to one element while `shows` holds: images, rows, columns, channels, each by
/// halves. What is left is computed from the same inputs and weights as before, padding included.
/// Ops whose elements are not independent (concat, transpose, …) lose images only.
Reproduction cut_to_one_output(Reproduction start, const StillShows& shows);

struct ReduceOptions {
  /// Largest input of the simplest layer that is tried before any other way (16 tries each).
  int64_t simplest_input = 127;
};

/// Makes a reproduction of one node smaller while `shows` holds: one output, fewer taps or window
/// elements (ddmin), no bias and activation, zero points 0, scales whose whole multiplier is a
/// power of two, and every integer nearer to 0. Error bad_value for several nodes.
Reproduction reduce(Reproduction start, const StillShows& shows, const ReduceOptions& options = {});

/// The shortest list for which `shows` holds that ddmin (Zeller's delta debugging) finds:
/// 1-minimal, no single element of it can be left out. `shows(all)` must hold.
std::vector<size_t> ddmin(std::vector<size_t> all,
                          const std::function<bool(const std::vector<size_t>&)>& shows);

}  // namespace facsim::backends
