// SPDX-License-Identifier: Apache-2.0
// Every setting that is tried, as distinct rules.
#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "backends/lower/requantize-internal.h"
#include "backends/parity/identify-internal.h"
#include "backends/parity/knobs-internal.h"
#include "backends/profile/variants-internal.h"
#include "sim/core/error.h"
#include "sim/core/parallel.h"

namespace facsim::backends::detail {

namespace {

/// One setting of a profile with the rules of one op.
struct LoadedSetting {
  std::optional<OpRules> rules;
  std::string key;  ///< row_rules_key of the rules
  IdentifyCandidate member;
};

bool are_same_settings(const IdentifyCandidate& a, const IdentifyCandidate& b) {
  return a.profile == b.profile &&
         std::equal(a.settings.begin(), a.settings.end(), b.settings.begin(), b.settings.end(),
                    [](const ProfileOverride& x, const ProfileOverride& y) {
                      return x.pointer == y.pointer && x.value == y.value;
                    });
}

/// Rules by key, in the order they were added.
class DistinctRules {
 public:
  void add(LoadedSetting setting, const IdentifyRows& rows) {
    const auto [found, is_new] = numbers_.emplace(std::move(setting.key), list_.size());
    if (is_new) {
      IdentifyRule rule;
      rule.key = found->first;
      rule.program = sim::to_string(program_for(*setting.rules, rows.output));
      rule.rules = std::move(*setting.rules);
      list_.push_back(std::move(rule));
    }
    std::vector<IdentifyCandidate>& members = list_[found->second].members;
    // A setting is added for each of its ops, one after the other.
    if (!members.empty() && are_same_settings(members.back(), setting.member)) {
      std::vector<std::string>& ops = members.back().ops;
      ops.insert(ops.end(), setting.member.ops.begin(), setting.member.ops.end());
    } else {
      members.push_back(std::move(setting.member));
    }
  }
  std::vector<IdentifyRule> take() { return std::move(list_); }
  const std::vector<IdentifyRule>& list() const { return list_; }

 private:
  std::map<std::string, size_t> numbers_;
  std::vector<IdentifyRule> list_;
};

/// The ops of a profile whose outputs are accumulators put through its requantize.
std::vector<Profile::Choice> requantizing_ops(const Profile& profile, const std::string& phrase) {
  std::vector<Profile::Choice> choices;
  const auto add = [&](const Profile::Choice& choice) {
    try {
      require_requantized(profile, choice);
      require_program(*choice.rules);
      choices.push_back(choice);
    } catch (const Error&) {
      return;  // not a candidate
    }
  };
  if (phrase.empty()) {
    for (const auto& [name, rules] : profile.ops) {
      add({name, rules.output_types.front(), &rules});
    }
    return choices;
  }
  try {
    add(profile.choose(phrase));
  } catch (const Error&) {
    return choices;  // the profile does not have the op
  }
  return choices;
}

/// The op of a plain profile whose rules a setting of the space changes.
constexpr const char* kSpaceOp = "conv2d";

LoadedSetting load_space_setting(const IdentifySetting& setting, const IdentifyRows& rows,
                                 const IdentifyOptions& options, KnobBenches& benches,
                                 SpaceErrors& errors) {
  LoadedSetting loaded;
  try {
    const KnobBench& bench = benches.of(setting.base);
    const std::optional<RulesByKey> changed = bench.changed_rules(setting.overrides);
    if (!changed) {  // says what is wrong, or is a contradiction among the settings
      load_profile(setting.base, options.search, setting.overrides);
      return loaded;
    }
    const Profile& base = bench.profile();
    std::string op;
    try {
      op = base.choose(options.op.empty() ? kSpaceOp : options.op).name;
    } catch (const Error&) {
      op = base.choose(kSpaceOp).name;
    }
    const std::optional<OpRules> now = bench.rules_with(setting.overrides, op);
    if (!now) return loaded;  // the setting deletes the op
    const OpRules& rules = *now;
    require_program(rules);
    loaded.member.profile = setting.base;
    loaded.member.ops = {op};
    loaded.member.settings = setting.overrides;
    loaded.key = row_rules_key(rules, rows);
    loaded.rules = rules;
  } catch (const Error& error) {
    loaded.rules.reset();
    errors.add(setting, error);
  }
  return loaded;
}

/// Returns how many of them are platforms.
int64_t add_settings(const std::vector<IdentifySetting>& settings, const IdentifyRows& rows,
                     const IdentifyOptions& options, KnobBenches& benches, sim::ThreadPool& pool,
                     IdentifyPhase phase, SpaceErrors& errors, DistinctRules& rules) {
  std::vector<LoadedSetting> loaded(settings.size());
  run_in_parts(pool, settings.size(), options.progress, phase, [&](size_t i) {
    loaded[i] = load_space_setting(settings[i], rows, options, benches, errors);
  });
  int64_t count = 0;
  for (LoadedSetting& setting : loaded) {
    if (!setting.rules) continue;
    rules.add(std::move(setting), rows);
    ++count;
  }
  return count;
}

/// A profile's ops as shipped, then with each of its single settings; of the settings those that
/// change the rules' key. `tried` counts the settings.
std::vector<LoadedSetting> load_shipped(const std::string& name, const IdentifyRows& rows,
                                        const IdentifyOptions& options, IdentifyKnobs knobs,
                                        KnobBenches& benches, int64_t& tried) {
  std::vector<LoadedSetting> loaded;
  std::optional<Profile> profile;
  try {
    profile = load_profile(name, options.search);
  } catch (const Error&) {
    return loaded;  // not a profile of this build; `facsim profile lint` says why
  }
  ++tried;
  std::map<std::string, std::string> keys;
  std::set<std::string> ops;
  for (const Profile::Choice& choice : requantizing_ops(*profile, options.op)) {
    LoadedSetting setting;
    setting.member.profile = name;
    setting.member.ops = {choice.name};
    setting.member.evidence = evidence_level_word(profile->evidence.level);
    setting.member.bit_exact = profile->bit_exact;
    setting.key = keys[choice.name] = row_rules_key(*choice.rules, rows);
    setting.rules = *choice.rules;
    ops.insert(choice.name);
    loaded.push_back(std::move(setting));
  }
  if (knobs == IdentifyKnobs::left_out || ops.empty()) return loaded;
  for (KnobRules& knob : KnobBench(benches.of(name), ops).knobs(KnobScope::own_values)) {
    ++tried;
    for (auto& [op, rules] : knob.rules) {
      LoadedSetting setting;
      try {
        require_program(rules);
        setting.key = row_rules_key(rules, rows);
      } catch (const Error&) {
        continue;  // another algorithm: not a requantization by steps
      }
      if (setting.key == keys[op]) continue;
      setting.member.profile = name;
      setting.member.ops = {op};
      setting.member.settings = knob.knob.overrides;
      setting.rules = std::move(rules);
      loaded.push_back(std::move(setting));
    }
  }
  return loaded;
}

}  // namespace

void drop_idle_settings(IdentifyRule& rule, const IdentifyRows& rows, KnobBenches& benches) {
  for (IdentifyCandidate& member : rule.members) {
    if (member.settings.empty()) continue;
    const KnobBench& bench = benches.of(member.profile);
    const std::string& op = member.ops.front();
    for (size_t i = member.settings.size(); i-- > 0;) {
      std::vector<ProfileOverride> fewer = member.settings;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
      const std::optional<OpRules> rules = bench.rules_with(fewer, op);
      if (!rules) continue;  // the others contradict each other without it
      try {
        if (row_rules_key(*rules, rows) != rule.key) continue;
      } catch (const Error&) {
        continue;  // not a requantization by steps
      }
      if (bench.changed_rules(fewer)) member.settings = std::move(fewer);  // it loads as a whole
    }
  }
}

std::vector<IdentifyRule> row_rules(const IdentifyRows& rows, const IdentifyOptions& options,
                                    IdentifyKnobs knobs, KnobBenches& benches,
                                    sim::ThreadPool& pool, int64_t& tried) {
  DistinctRules rules;
  tried = 0;
  const IdentifySpace given = options.space.value_or(IdentifySpace{});
  std::vector<std::string> names;
  if (given.profiles) names = list_profiles(options.search);
  constexpr size_t kTogether = 8;  // what a profile's settings hold is let go soon
  for (size_t begin = 0; begin < names.size(); begin += kTogether) {
    const size_t count = std::min(kTogether, names.size() - begin);
    std::vector<std::vector<LoadedSetting>> loaded(count);
    std::vector<int64_t> of_each(count, 0);
    run_in_parts(
        pool, count, options.progress,
        IdentifyPhase{0, 300}.part(begin / kTogether, names.size() / kTogether + 1), [&](size_t i) {
          loaded[i] = load_shipped(names[begin + i], rows, options, knobs, benches, of_each[i]);
        });
    for (size_t i = 0; i < count; ++i) {
      tried += of_each[i];
      for (LoadedSetting& setting : loaded[i]) rules.add(std::move(setting), rows);
    }
  }
  if (given.profiles && !options.op.empty() && rules.list().empty()) {
    throw Error({ErrorCode::unsupported, "op \"" + options.op + "\"",
                 "no profile requantizes accumulators in it", "conv2d, linear, …",
                 "facsim list ops"});
  }
  const std::vector<IdentifySetting> asked = settings_of(given);
  SpaceErrors errors, ignored;
  tried += add_settings(asked, rows, options, benches, pool, {300, 350}, errors, rules);
  errors.raise_if_all(asked.size());
  if (!given.replaces) {
    tried += add_settings(settings_of(default_identify_space(form_of(rows))), rows, options,
                          benches, pool, {350, 500}, ignored, rules);
  }
  return rules.take();
}

}  // namespace facsim::backends::detail
