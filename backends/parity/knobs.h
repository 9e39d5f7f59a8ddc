// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backends/profile/profile.h"

namespace facsim::backends {

/// One setting that a device could have otherwise than a profile says, with what must change along
/// with it (a float32 domain has one rounding, not a list of stages).
struct Knob {
  std::string pointer;   ///< "/requantize/rounding", "/ops/add/algorithm"
  std::string from, to;  ///< JSON; `from` is the effective value
  std::vector<ProfileOverride> overrides;
  std::string sentence;  ///< "the device rounds half_even where the profile says half_up"
};

/// Where a setting is changed.
enum class KnobScope {
  own_values,  ///< for the whole profile, and in an op or variant that has its own value
  every_op,    ///< also in every op and variant alone: a device may differ in one kernel
};

/// Every single setting by which the numeric rules of `ops` (keys of Profile::ops, "conv2d" or
/// "conv2d int16x8"; others are passed over) can be made to differ: all words, booleans and named
/// algorithms, all widths that a field allows up to 32 bits and the usual ones above, other
/// roundings of a list of stages or of written steps. Not among them: which code types and scales
/// exist, how float weights are quantized, and what belongs to training; no such setting changes
/// what a deployed network computes.
///
/// Each loads without error together with `base`, gives rules of `ops` that differ from the base's,
/// and no two give the same rules by the same setting (the profile's before an op's). In the order
/// of the profile's fields. Errors: as load_profile for the profile itself.
std::vector<Knob> profile_knobs(std::string_view name_or_path, const ProfileSearch& search,
                                const std::vector<ProfileOverride>& base,
                                const std::set<std::string>& ops,
                                KnobScope scope = KnobScope::own_values);

}  // namespace facsim::backends
