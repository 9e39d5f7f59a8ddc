// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "backends/parity/diagnose.h"
#include "backends/parity/setting_effects-internal.h"

namespace facsim::backends::detail {

/// Settings that explain something, tried alone or two at once.
struct TriedSettings {
  std::vector<size_t> knobs;
  std::shared_ptr<const RulesByKey> rules;
  Effect effect;
  int64_t score() const { return effect.explained - effect.introduced; }
};

/// Orders what was tried. Equal bits come first: most values explained less introduced. Among
/// settings that do equally well the data have no say, so the simpler one is first: fewer settings,
/// then those that the profile has of itself, what a profile has that was compared with its device
/// (evidence "executed"), what is written with fewer words, values that more of the known profiles
/// have, and those that touch fewer nodes.
class CauseRanking {
 public:
  /// `knobs`: the first `own` are the profile's own; all must outlive it.
  CauseRanking(const DiagnoseOptions& options, const std::deque<KnobRules>& knobs,
               const size_t& own);

  void sort(std::vector<TriedSettings>& trials);
  /// Trials with equal values are one cause, the first of them; which of the others are proved
  /// equal to it is worked out as far as `budget` goes.
  std::vector<Cause> causes(std::vector<TriedSettings>& trials, int64_t of, ChangedOps& ops,
                            ProofBudget budget);

 private:
  using Simplicity = std::tuple<size_t, bool, bool, size_t, int64_t, size_t, std::vector<size_t>>;
  Simplicity simplicity(const TriedSettings& trial);
  int64_t profiles_with(size_t k);
  bool is_of_executed(const TriedSettings& trial);
  void read_profiles();
  void count_values(const std::string& name);
  std::vector<Knob> knobs_of(const TriedSettings& trial) const;

  const DiagnoseOptions& options_;
  const std::deque<KnobRules>& knobs_;
  const size_t& own_;
  std::map<std::string, int64_t> known_values_;  ///< domain, rule and value: profiles that have it
  std::string own_domain_;
  /// Rules and values of each executed profile, and which knobs one of them has.
  std::vector<std::set<std::string>> executed_;
  std::map<std::vector<size_t>, bool> executed_by_knobs_;
};

}  // namespace facsim::backends::detail
