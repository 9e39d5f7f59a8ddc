// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backends/parity/knobs.h"
#include "backends/profile/resolve-internal.h"
#include "backends/profile/variants-internal.h"

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
  /// Knobs of every op.
  KnobBench(std::string_view name_or_path, const ProfileSearch& search);
  /// A copy restricted to `ops`.
  KnobBench(const KnobBench& bench, const std::set<std::string>& ops);

  const Profile& profile() const { return profile_; }
  /// The effective rules of a key of Profile::ops with settings that load and keep it (CHECK).
  Json effective(const std::vector<ProfileOverride>& settings, const std::string& op) const;
  /// profile_knobs() with what they change.
  std::vector<KnobRules> knobs(KnobScope scope) const;
  /// The rules of `ops` that the settings change; nothing if the profile does not load with them.
  std::optional<RulesByKey> changed_rules(const std::vector<ProfileOverride>& settings) const;
  /// The rules of one key with the settings; nothing if they do not load or delete it. Other rules
  /// are not looked at.
  std::optional<OpRules> rules_with(const std::vector<ProfileOverride>& settings,
                                    const std::string& op) const;

 private:
  /// The profile with settings, but of its ops only those that the settings are inside of.
  struct Changed {
    ResolvedProfile resolved;
    std::set<std::string> ops;  ///< of which there are settings
    bool all = false;           ///< a setting of the whole profile
  };

  explicit KnobBench(ResolvedProfile resolved);
  /// Nothing if a setting cannot be set or has no such value.
  std::optional<Changed> changed(const std::vector<ProfileOverride>& settings) const;
  const Json& ops_for(const Changed& changed, const RulesKey& key) const;

  Profile profile_;
  ResolvedProfile resolved_;    ///< without the texts it came from
  std::vector<RulesKey> keys_;  ///< of all ops
  std::vector<size_t> alike_;   ///< by key: the first whose own rules are written the same
  std::set<std::string> ops_;
};

/// Benches of every op, each profile read once, for any thread.
class KnobBenches {
 public:
  explicit KnobBenches(const ProfileSearch& search) : search_(search) {}

  /// Errors: as load_profile.
  const KnobBench& of(const std::string& profile);

 private:
  const ProfileSearch& search_;
  struct Slot {
    std::once_flag read;
    std::optional<KnobBench> bench;
  };
  std::mutex mutex_;
  std::map<std::string, Slot> slots_;
};

}  // namespace facsim::backends::detail
