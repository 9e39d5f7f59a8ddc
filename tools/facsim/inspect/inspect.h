// SPDX-License-Identifier: Apache-2.0
// What `facsim inspect` shows of a network file.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "backends/graph/float_graph.h"
#include "backends/graph/int_graph.h"
#include "backends/profile/profile.h"
#include "tools/facsim/command.h"

namespace facsim::cli {

/// A description in both forms, and whether the profile runs all of it (true without a profile).
struct Description {
  std::string text;
  nlohmann::ordered_json json;
  bool supported = true;
};

/// Layers, shapes, quantization, multiply-accumulates; under a profile also the accumulators'
/// ranges for any input, and each node that the profile does not run with the reason.
Description describe_quantized(const backends::IntGraph& graph,
                               const std::optional<backends::Profile>& profile,
                               const Globals& globals);

/// Layers, shapes, parameters, and what each becomes when the network is fused for the profile
/// (all patterns without one), or why it stays alone.
Description describe_float(const backends::FloatGraph& graph,
                           const std::optional<backends::Profile>& profile);

}  // namespace facsim::cli
