// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "sim/core/wide.h"

namespace facsim::sim {

/// Which integer a real number becomes; definitions with their ties in sim/rounding/<mode>.h.
enum class Rounding {
#define FACSIM_ROUNDING(name) name,
#include "sim/rounding/rounding.def"
#undef FACSIM_ROUNDING
};

std::string_view to_string(Rounding mode);
std::optional<Rounding> rounding_from_string(std::string_view word);
/// All modes in the order of rounding.def.
const std::vector<Rounding>& all_roundings();

/// v / 2^n rounded; n 0..126, exact for every v.
int128 round_shift(Rounding mode, int128 v, int n);
/// v / d rounded; d > 0 (CHECK), exact for every v.
int128 round_divide(Rounding mode, int128 v, int128 d);
/// A finite real rounded to an integral value of the same type (exact; independent of the caller's
/// floating-point environment). NaN and infinities return unchanged.
double round_real(Rounding mode, double v);
float round_real(Rounding mode, float v);

}  // namespace facsim::sim
