// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "backends/parity/profile_diff.h"
#include "backends/parity/vector_dice-internal.h"
#include "sim/requantize/requantizer.h"

namespace facsim::backends::detail {

/// How the equality of two sides' rules of `op` was proved; empty: not proved.
std::string proof_of_equality(const std::string& op, const OpRules& a, const OpRules& b);

/// Outputs compared so far.
struct DiffCount {
  int64_t compared = 0, differing = 0;
};

/// True for ops whose outputs are accumulators put through the profile's program.
bool has_bare_requantizer(const Profile& profile, const std::string& op);
/// The smallest accumulator for which the bare requantizers differ, see numeric_differences.
std::optional<DifferingVector> differing_accumulator(const OpRules& a, const OpRules& b,
                                                     VectorDice& dice, DiffCount& count);

/// The smallest output of steered layers that differs, in a layer reduced to what it needs.
/// `reason`: why a side computed none of them.
std::optional<DifferingVector> differing_layer(const Profile& a, const Profile& b,
                                               const std::string& phrase, VectorDice& dice,
                                               DiffCount& count, std::string& reason);

/// "shr 31 half_up -> 3".
std::vector<std::string> step_texts(const std::vector<sim::TracedStep>& steps);

}  // namespace facsim::backends::detail
