// SPDX-License-Identifier: Apache-2.0
// The parts of a suite: its cases, bare rows, and its neighbours.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "backends/parity/vectors_gen-internal.h"

namespace facsim::backends::detail {

/// The layer of a case of a network.
VectorLayer layer_of(const GeneratedCase& made);

/// A case of bare accumulators under the rules of `choice`. Error unsupported if the strategy finds
/// none.
GeneratedCase requantize_case(const Profile::Choice& choice, VectorDice& dice,
                              VectorStrategy strategy, std::string name);
/// The outputs of such a case under `rules`.
Tensor compute_rows(const GeneratedCase& made, const OpRules& rules);
void observe_rows(CoverageCounter& coverage, const GeneratedCase& made, const OpRules& rules);

/// The rules that a bare requantization is by: the convolution's, or those of the linear layer on a
/// platform that only has that.
std::string_view requantize_op(const Profile& profile);
/// Counts what another profile makes of a case.
void add_verdict(Neighbour& neighbour, const GeneratedCase& made, const Profile& profile);
/// All of a resolved profile that layers of these ops follow, as text: what only names, describes
/// or trains left out, and the rules of other ops. Equal texts are equal rules; the converse need
/// not hold.
std::string rules_text(std::string_view name_or_path, const ProfileSearch& search,
                       const std::set<std::string>& ops);

}  // namespace facsim::backends::detail
