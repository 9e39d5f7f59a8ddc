// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backends/parity/knobs.h"
#include "backends/profile/resolve-internal.h"

namespace facsim::backends::detail {

/// Rules by key of Profile::ops.
using RulesByKey = std::map<std::string, OpRules, std::less<>>;

struct KnobRules {
  Knob knob;
  RulesByKey rules;  ///< that it changes
};

/// A profile of which single settings are tried, many times a millisecond: the files are read and
/// checked once.
class KnobBench {
 public:
  /// Errors: as load_profile.
  KnobBench(std::string_view name_or_path, const ProfileSearch& search,
            const std::vector<ProfileOverride>& base, const std::set<std::string>& ops);

  const Profile& profile() const { return profile_; }
  /// profile_knobs() with what they change.
  std::vector<KnobRules> knobs(KnobScope scope) const;
  /// The rules of `ops` that the settings change; nothing if the profile does not load with them.
  std::optional<RulesByKey> changed_rules(const std::vector<ProfileOverride>& settings) const;

 private:
  Profile profile_;
  ResolvedProfile resolved_;  ///< without the texts it came from
  std::set<std::string> ops_;
};

}  // namespace facsim::backends::detail
