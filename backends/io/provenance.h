// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "backends/graph/int_graph.h"
#include "backends/io/npy.h"

namespace facsim::backends {

/// Which run made a file of results: stands in the comment of its .npz, so that a comparison can
/// tell "the arithmetic differs" from "other inputs were run".
struct Provenance {
  std::string network;              ///< fingerprint(IntGraph)
  std::string profile;              ///< its name
  std::string profile_fingerprint;  ///< Profile::fingerprint
  std::string inputs;               ///< fingerprint of the network inputs' codes, in graph order
  friend bool operator==(const Provenance&, const Provenance&) = default;
};

/// 32 hex digits of what a network computes: tensors, nodes, constants, inputs and outputs; not its
/// name, nor the profile it was made for, nor the file it came from. Finds changes, not forgery.
std::string fingerprint(const IntGraph& graph);
/// 32 hex digits of tensors with their dtypes and shapes.
std::string fingerprint(std::span<const Tensor> tensors);
/// 32 hex digits of arrays with their names, whatever their order.
std::string fingerprint(const NamedTensors& arrays);

/// A line of JSON, and back; nothing for a text that is not one.
std::string to_comment(const Provenance& provenance);
std::optional<Provenance> provenance_from_comment(std::string_view comment);

}  // namespace facsim::backends
