// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/cause_ranking-internal.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

constexpr std::string_view kDomain = "/requantize/domain";

std::string domain_of(const std::vector<ProfileSetting>& settings) {
  for (const ProfileSetting& setting : settings) {
    if (setting.pointer == kDomain) return setting.value;
  }
  return "";
}

/// "/accumulator/bits" of "/ops/conv2d/variants/int16/accumulator/bits".
std::string rule_of(const std::string& pointer) {
  std::string rule = pointer;
  for (const std::string_view prefix : {"/ops/", "/variants/"}) {
    if (rule.starts_with(prefix))
      rule = rule.substr(std::min(rule.find('/', prefix.size()), rule.size()));
  }
  return rule;
}

/// A word as --set takes it: without the quotes of JSON.
std::string bare(const std::string& value) {
  const bool is_quoted = value.size() > 1 && value.front() == '"' && value.back() == '"';
  return is_quoted ? value.substr(1, value.size() - 2) : value;
}

/// Who set what the knob changes: the op's own value, or the profile's.
std::string place_of(const std::vector<ProfileSetting>& settings, const Knob& knob) {
  constexpr std::string_view kOps = "/ops/";
  std::vector<std::string> pointers = {knob.pointer};
  if (knob.pointer.starts_with(kOps)) {
    pointers.push_back(knob.pointer.substr(knob.pointer.find('/', kOps.size())));
  }
  for (const std::string& pointer : pointers) {
    const ProfileSetting* member = nullptr;  // of a list or object: the first that a file set
    for (const ProfileSetting& setting : settings) {
      if (setting.pointer == pointer) return setting.place;
      if (setting.pointer.starts_with(pointer + "/") && member == nullptr) member = &setting;
    }
    if (member != nullptr) return member->place;
  }
  return "";
}

}  // namespace

CauseRanking::CauseRanking(const DiagnoseOptions& options, const std::deque<KnobRules>& knobs,
                           const size_t& own)
    : options_(options), knobs_(knobs), own_(own) {}

CauseRanking::Simplicity CauseRanking::simplicity(const TriedSettings& trial) {
  size_t overrides = 0;
  bool invented = false;
  int64_t known = INT64_MAX;
  for (const size_t k : trial.knobs) {
    overrides += knobs_[k].knob.overrides.size();
    invented |= k >= own_;
    known = std::min(known, profiles_with(k));
  }
  return {trial.knobs.size(),        invented,   !is_of_executed(trial), overrides, -known,
          trial.effect.nodes.size(), trial.knobs};
}

/// Whether one profile whose evidence is a run of the device has all that the knobs set, and scales
/// in the arithmetic that the device then scales in.
bool CauseRanking::is_of_executed(const TriedSettings& trial) {
  read_profiles();
  const auto known = executed_by_knobs_.find(trial.knobs);
  if (known != executed_by_knobs_.end()) return known->second;
  std::map<std::string, std::string> wanted = {{std::string(kDomain), bare(own_domain_)}};
  for (const size_t k : trial.knobs) {
    for (const ProfileOverride& set : knobs_[k].knob.overrides) {
      wanted[rule_of(set.pointer)] = bare(set.value);
    }
  }
  const bool found = std::any_of(executed_.begin(), executed_.end(), [&](const auto& values) {
    return std::all_of(wanted.begin(), wanted.end(), [&](const auto& rule) {
      return values.contains(rule.first + "=" + rule.second);
    });
  });
  executed_by_knobs_.emplace(trial.knobs, found);
  return found;
}

/// In how many of the profiles found by name, of those that scale in the same arithmetic, a rule
/// has the knob's value, for all ops or for one.
int64_t CauseRanking::profiles_with(size_t k) {
  read_profiles();
  const Knob& knob = knobs_[k].knob;
  const std::string rule = rule_of(knob.pointer);
  const std::string& domain = rule == kDomain ? knob.to : own_domain_;
  const auto found = known_values_.find(domain + rule + "=" + knob.to);
  return found == known_values_.end() ? 0 : found->second;
}

void CauseRanking::read_profiles() {
  if (!known_values_.empty()) return;
  for (const std::string& name : list_profiles(options_.search)) count_values(name);
  known_values_[""] = 0;
  own_domain_ = domain_of(profile_settings(options_.profile, options_.search, options_.overrides));
}

void CauseRanking::count_values(const std::string& name) {
  std::set<std::string> values, rules;
  bool is_executed = false;
  try {
    const std::vector<ProfileSetting> settings = profile_settings(name, options_.search);
    const std::string domain = domain_of(settings);
    for (const ProfileSetting& setting : settings) {
      const std::string rule = rule_of(setting.pointer) + "=";
      values.insert(domain + rule + setting.value);
      rules.insert(rule + bare(setting.value));
      is_executed |= setting.pointer == "/evidence/level" && bare(setting.value) == "executed";
    }
  } catch (const Error&) {
    return;  // a profile that does not load says nothing
  }
  for (const std::string& value : values) ++known_values_[value];
  if (is_executed) executed_.push_back(std::move(rules));
}

void CauseRanking::sort(std::vector<TriedSettings>& trials) {
  std::stable_sort(trials.begin(), trials.end(),
                   [&](const TriedSettings& a, const TriedSettings& b) {
                     if (a.score() != b.score()) return a.score() > b.score();
                     return simplicity(a) < simplicity(b);
                   });
}

std::vector<Knob> CauseRanking::knobs_of(const TriedSettings& trial) const {
  std::vector<Knob> out;
  for (const size_t k : trial.knobs) out.push_back(knobs_[k].knob);
  return out;
}

std::vector<Cause> CauseRanking::causes(std::vector<TriedSettings>& trials, int64_t of,
                                        ChangedOps& ops, ProofBudget budget) {
  sort(trials);
  const std::vector<ProfileSetting> settings =
      profile_settings(options_.profile, options_.search, options_.overrides);
  std::vector<Cause> causes;
  std::map<std::string, size_t> class_of;  // by values: the cause
  std::vector<const TriedSettings*> firsts;
  for (const TriedSettings& trial : trials) {
    if (trial.score() <= 0) break;
    const auto [it, is_new] = class_of.emplace(trial.effect.values, causes.size());
    if (!is_new) {
      const TriedSettings& first = *firsts[it->second];
      // A pair that does what one of its settings does alone says nothing new.
      if (trial.knobs.size() > first.knobs.size()) continue;
      const bool proved = ops.proved_equal(*first.rules, *trial.rules, budget);
      causes[it->second].also.push_back({knobs_of(trial), proved});
      continue;
    }
    firsts.push_back(&trial);
    Cause cause;
    cause.knobs = knobs_of(trial);
    for (const Knob& knob : cause.knobs) cause.places.push_back(place_of(settings, knob));
    cause.explained = trial.effect.explained;
    cause.introduced = trial.effect.introduced;
    cause.of = of;
    std::set<std::string> names;
    for (const size_t node : trial.effect.nodes) names.insert(ops.rules_name(node));
    cause.ops.assign(names.begin(), names.end());
    causes.push_back(std::move(cause));
  }
  return causes;
}

}  // namespace facsim::backends::detail
