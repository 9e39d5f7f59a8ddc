// SPDX-License-Identifier: Apache-2.0
// Every setting that is tried, as distinct rules.
#include <algorithm>
#include <map>

#include "backends/lower/requantize-internal.h"
#include "backends/parity/identify-internal.h"
#include "backends/parity/knobs.h"
#include "backends/profile/variants-internal.h"
#include "sim/core/error.h"
#include "sim/core/parallel.h"

namespace facsim::backends::detail {

namespace {

/// Rules by key, in the order they were added.
class DistinctRules {
 public:
  void add(const OpRules& rules, const IdentifyRows& rows, const IdentifyCandidate& member) {
    std::string key = row_rules_key(rules, rows);
    const auto [found, is_new] = numbers_.emplace(std::move(key), list_.size());
    if (is_new) {
      IdentifyRule rule;
      rule.key = found->first;
      rule.program = sim::to_string(program_for(rules, rows.output));
      rule.rules = rules;
      list_.push_back(std::move(rule));
    }
    std::vector<IdentifyCandidate>& members = list_[found->second].members;
    const auto same = std::find_if(members.begin(), members.end(), [&](const auto& m) {
      return m.profile == member.profile && m.settings.empty() && member.settings.empty();
    });
    if (same != members.end()) {
      same->ops.insert(same->ops.end(), member.ops.begin(), member.ops.end());
    } else {
      members.push_back(member);
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

struct LoadedSetting {
  std::optional<OpRules> rules;
  IdentifyCandidate member;
};

LoadedSetting load_space_setting(const IdentifySetting& setting, const IdentifyOptions& options) {
  LoadedSetting loaded;
  try {
    const Profile profile = load_profile(setting.base, options.search, setting.overrides);
    const std::vector<Profile::Choice> own = requantizing_ops(profile, options.op);
    const Profile::Choice choice =
        options.op.empty() || own.empty() ? profile.choose(kSpaceOp) : own.front();
    loaded.member.profile = setting.base;
    loaded.member.ops = {choice.name};
    loaded.member.settings = setting.overrides;
    loaded.rules = *choice.rules;
  } catch (const Error&) {
    loaded.rules.reset();  // a contradiction among the settings: not a platform
  }
  return loaded;
}

void add_settings(const std::vector<IdentifySetting>& settings, const IdentifyRows& rows,
                  const IdentifyOptions& options, sim::ThreadPool& pool, DistinctRules& rules) {
  constexpr size_t kChunk = 256;
  std::vector<LoadedSetting> loaded(kChunk);
  for (size_t begin = 0; begin < settings.size(); begin += kChunk) {
    const size_t count = std::min(kChunk, settings.size() - begin);
    if (options.progress) {
      options.progress(static_cast<int64_t>(begin), static_cast<int64_t>(settings.size()));
    }
    pool.parallel_for(static_cast<int64_t>(count), [&](int64_t i) {
      const auto at = static_cast<size_t>(i);
      loaded[at] = load_space_setting(settings[begin + at], options);
    });
    for (size_t i = 0; i < count; ++i) {
      if (!loaded[i].rules) continue;
      rules.add(*loaded[i].rules, rows, loaded[i].member);
    }
  }
}

/// The single settings of the shipped rules: of one profile for each of them, since equal rules
/// have equal neighbours.
int64_t add_knobs(const IdentifyRows& rows, const IdentifyOptions& options, sim::ThreadPool& pool,
                  DistinctRules& rules) {
  const size_t shipped = rules.list().size();
  std::vector<std::vector<LoadedSetting>> loaded(shipped);
  pool.parallel_for(static_cast<int64_t>(shipped), [&](int64_t i) {
    const IdentifyCandidate& member = rules.list()[static_cast<size_t>(i)].members.front();
    const std::string& op = member.ops.front();
    for (const Knob& knob : profile_knobs(member.profile, options.search, {}, {op})) {
      LoadedSetting setting;
      setting.member.profile = member.profile;
      setting.member.ops = {op};
      setting.member.settings = knob.overrides;
      try {
        setting.rules = load_profile(member.profile, options.search, knob.overrides).rules(op);
      } catch (const Error&) {
        continue;  // the setting removes the op
      }
      loaded[static_cast<size_t>(i)].push_back(std::move(setting));
    }
  });
  int64_t count = 0;
  for (const std::vector<LoadedSetting>& list : loaded) {
    for (const LoadedSetting& setting : list) {
      rules.add(*setting.rules, rows, setting.member);
      ++count;
    }
  }
  return count;
}

}  // namespace

void drop_idle_settings(IdentifyRule& rule, const IdentifyRows& rows,
                        const IdentifyOptions& options) {
  for (IdentifyCandidate& member : rule.members) {
    for (size_t i = member.settings.size(); i-- > 0;) {
      std::vector<ProfileOverride> fewer = member.settings;
      fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
      try {
        const Profile profile = load_profile(member.profile, options.search, fewer);
        if (row_rules_key(profile.rules(member.ops.front()), rows) == rule.key) {
          member.settings = std::move(fewer);
        }
      } catch (const Error&) {
        continue;  // the others contradict each other without it
      }
    }
  }
}

std::vector<IdentifyRule> row_rules(const IdentifyRows& rows, const IdentifyOptions& options,
                                    IdentifyKnobs knobs, int64_t& tried) {
  sim::ThreadPool pool(options.threads);
  DistinctRules rules;
  tried = 0;
  const IdentifySpace given = options.space.value_or(IdentifySpace{});
  if (given.profiles) {
    for (const std::string& name : list_profiles(options.search)) {
      std::optional<Profile> profile;
      try {
        profile = load_profile(name, options.search);
      } catch (const Error&) {
        continue;  // not a profile of this build; `facsim profile lint` says why
      }
      ++tried;
      for (const Profile::Choice& choice : requantizing_ops(*profile, options.op)) {
        IdentifyCandidate member;
        member.profile = name;
        member.ops = {choice.name};
        member.evidence = evidence_level_word(profile->evidence.level);
        rules.add(*choice.rules, rows, member);
      }
    }
    if (!options.op.empty() && rules.list().empty()) {
      throw Error({ErrorCode::unsupported, "op \"" + options.op + "\"",
                   "no profile requantizes accumulators in it", "conv2d, linear, …",
                   "facsim list ops"});
    }
    if (knobs == IdentifyKnobs::included) tried += add_knobs(rows, options, pool, rules);
  }
  std::vector<IdentifySetting> settings = settings_of(given);
  if (!given.replaces) {
    const std::vector<IdentifySetting> own = settings_of(default_identify_space(form_of(rows)));
    settings.insert(settings.end(), own.begin(), own.end());
  }
  tried += static_cast<int64_t>(settings.size());
  add_settings(settings, rows, options, pool, rules);
  return rules.take();
}

}  // namespace facsim::backends::detail
