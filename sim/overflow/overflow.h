// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "sim/core/types.h"
#include "sim/core/wide.h"

namespace facsim::sim {

/// What happens to a value outside its type; definitions in sim/overflow/<policy>.h.
enum class Overflow {
#define FACSIM_OVERFLOW(name) name,
#include "sim/overflow/overflow.def"
#undef FACSIM_OVERFLOW
};

std::string_view to_string(Overflow policy);
std::optional<Overflow> overflow_from_string(std::string_view word);
const std::vector<Overflow>& all_overflows();

/// v brought into `type`. `changed` is set when v was outside. Policy error throws
/// Error bad_value.
int128 bring_into(Overflow policy, int128 v, IntType type, bool& changed);

}  // namespace facsim::sim
