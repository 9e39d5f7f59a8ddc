// SPDX-License-Identifier: Apache-2.0
// Every setting that is tried on whole layers, as distinct rules.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "backends/parity/identify_layers-internal.h"
#include "backends/parity/knobs-internal.h"
#include "backends/parity/profile_diff-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

using KeysByKind = std::vector<std::vector<std::string>>;

/// The rules of a key without what says which layers they are for: the kinds of the cases say that.
OpRules rules_of_kind(const Profile& profile, const std::string& key) {
  OpRules rules = profile.ops.at(key);
  rules.when = {};
  rules.activation_types = rules.weight_types = rules.output_types = {sim::kInt8};
  return rules;
}

std::string word_of(const std::string& key) { return key.substr(0, key.find(' ')); }

/// Rules that are proved to compute the same, by kind of the cases.
class DistinctLayerRules {
 public:
  void add(const std::shared_ptr<const Profile>& profile, const KeysByKind& keys,
           IdentifyCandidate member) {
    std::vector<size_t>& bucket = buckets_[text_of(*profile, keys)];
    for (const size_t number : bucket) {
      if (!are_equal(list_[number], *profile, keys)) continue;
      std::vector<IdentifyCandidate>& members = list_[number].members;
      // A setting that leaves the profile's own rules as they are says nothing.
      const bool is_idle = std::any_of(members.begin(), members.end(), [&](const auto& m) {
        return m.profile == member.profile && m.settings.empty();
      });
      if (!is_idle) members.push_back(std::move(member));
      return;
    }
    bucket.push_back(list_.size());
    LayerRule rule;
    rule.profile = profile;
    rule.keys = keys;
    rule.program = program_text(*profile, keys);
    rule.members.push_back(std::move(member));
    list_.push_back(std::move(rule));
  }
  std::vector<LayerRule> take() { return std::move(list_); }

 private:
  static std::string text_of(const Profile& profile, const KeysByKind& keys) {
    std::string text;
    for (const auto& list : keys) {
      for (const std::string& key : list) {
        const OpRules& rules = profile.ops.at(key);
        text += fmt::format("{}: {} {} {} {} {};", word_of(key), sim::to_string(rules.requantize),
                            rules.algorithm, rules.accumulator.bits,
                            static_cast<int>(rules.padding), rules.multiplier.bits);
      }
      text += "|";
    }
    return text;
  }

  static bool are_equal(const LayerRule& rule, const Profile& profile, const KeysByKind& keys) {
    for (size_t kind = 0; kind < keys.size(); ++kind) {
      if (rule.keys[kind].size() != keys[kind].size()) return false;
      for (size_t i = 0; i < keys[kind].size(); ++i) {
        const std::string &a = rule.keys[kind][i], &b = keys[kind][i];
        if (word_of(a) != word_of(b)) return false;
        if (proof_of_equality(a, rules_of_kind(*rule.profile, a), rules_of_kind(profile, b))
                .empty()) {
          return false;
        }
      }
    }
    return true;
  }

  static std::string program_text(const Profile& profile, const KeysByKind& keys) {
    std::string text;
    for (const auto& list : keys) {
      for (const std::string& key : list) {
        const OpRules& rules = profile.ops.at(key);
        const std::string one =
            rules.algorithm.empty() ? sim::to_string(rules.requantize) : rules.algorithm;
        const std::string line = fmt::format("{}: {}", key, one);
        if (text.find(line) == std::string::npos) text += (text.empty() ? "" : "; ") + line;
      }
    }
    return text;
  }

  std::map<std::string, std::vector<size_t>> buckets_;
  std::vector<LayerRule> list_;
};

/// A profile on the cases, with the settings that change the rules it follows in them.
struct TriedProfile {
  IdentifyCandidate member;
  std::shared_ptr<const Profile> profile;  ///< of the ops that matter
  KeysByKind keys;                         ///< empty: it computes none of the cases
  std::string refusal;                     ///< of the first case
  int64_t refused = 0;
  std::vector<KnobRules> knobs;
};

class LayerCollector {
 public:
  LayerCollector(const std::vector<IdentifyCase>& cases, const IdentifyOptions& options,
                 const std::vector<IdentifySetting>* left, KnobBenches& benches)
      : cases_(cases), examples_(kind_examples(cases)), options_(options), benches_(benches) {
    for (const IdentifyCase& c : cases) kinds_.push_back(c.kind());
    if (left == nullptr) return;
    left_.emplace();
    for (const IdentifySetting& setting : *left) {
      if (!setting.overrides.empty()) (*left_)[setting.base].push_back(setting.overrides);
    }
  }

  /// With its single settings, if it is tried as shipped.
  TriedProfile try_profile(const std::string& name, const std::vector<ProfileOverride>& settings,
                           bool with_knobs) const {
    TriedProfile tried;
    tried.member.profile = name;
    tried.member.settings = settings;
    const Profile whole = settings.empty() ? benches_.of(name).profile()
                                           : load_profile(name, options_.search, settings);
    if (settings.empty()) {
      tried.member.evidence = evidence_level_word(whole.evidence.level);
      tried.member.bit_exact = whole.bit_exact;
    }
    KeysByKind keys;
    std::set<std::string> read;
    for (const size_t example : examples_) {
      keys.push_back(keys_of_kind(whole, kinds_[example], tried));
      read.insert(keys.back().begin(), keys.back().end());
    }
    if (read.empty()) return tried;
    tried.keys = std::move(keys);
    tried.member.ops = {read.begin(), read.end()};
    std::set<std::string> words, all;
    for (const std::string& key : read) words.insert(word_of(key));
    // Which of the two a convolution follows depends on its channels, also within a kind.
    if (words.contains("conv2d")) words.insert("depthwise_conv2d");
    Profile slim = whole;  // many settings of it are kept
    std::erase_if(slim.ops, [&](const auto& e) { return !words.contains(word_of(e.first)); });
    for (const auto& [key, rules] : slim.ops) all.insert(key);
    tried.profile = std::make_shared<const Profile>(std::move(slim));
    if (!with_knobs) return tried;
    tried.knobs = single_settings(KnobBench(benches_.of(name), all), name);
    std::erase_if(tried.knobs, [&](const KnobRules& knob) {
      return std::none_of(read.begin(), read.end(),
                          [&](const std::string& key) { return knob.rules.contains(key); });
    });
    return tried;
  }

 private:
  /// All of a profile, or those that are left.
  std::vector<KnobRules> single_settings(const KnobBench& bench, const std::string& name) const {
    if (!left_) return bench.knobs(KnobScope::own_values);
    std::vector<KnobRules> knobs;
    const auto known = left_->find(name);
    if (known == left_->end()) return knobs;
    for (const std::vector<ProfileOverride>& settings : known->second) {
      std::optional<RulesByKey> rules = bench.changed_rules(settings);
      if (!rules) continue;
      KnobRules knob;
      knob.knob.overrides = settings;
      knob.rules = std::move(*rules);
      knobs.push_back(std::move(knob));
    }
    return knobs;
  }

  /// Of the first case of the kind that the profile computes.
  std::vector<std::string> keys_of_kind(const Profile& profile, const std::string& kind,
                                        TriedProfile& tried) const {
    for (size_t i = 0; i < cases_.size(); ++i) {
      if (kinds_[i] != kind) continue;
      const IdentifyTally counts = cases_[i].tally(profile);
      if (counts.refused == 0) return rules_read(profile, cases_[i]);
      tried.refused += counts.refused;
      if (tried.refusal.empty()) tried.refusal = counts.reason;
    }
    return {};
  }

  const std::vector<IdentifyCase>& cases_;
  std::vector<size_t> examples_;
  std::vector<std::string> kinds_;
  const IdentifyOptions& options_;
  KnobBenches& benches_;
  /// By profile; nothing: all are tried.
  std::optional<std::map<std::string, std::vector<std::vector<ProfileOverride>>>> left_;
};

}  // namespace

LayerRules layer_rules(const std::vector<IdentifyCase>& cases, const IdentifyOptions& options,
                       const std::vector<IdentifySetting>* left, KnobBenches& benches,
                       sim::ThreadPool& pool) {
  struct Wanted {
    std::string name;
    std::vector<ProfileOverride> settings;
    bool with_knobs = false;
  };
  std::vector<Wanted> wanted;
  const IdentifySpace given = options.space.value_or(IdentifySpace{});
  if (given.profiles) {
    for (std::string& name : list_profiles(options.search)) wanted.push_back({name, {}, true});
  }
  const size_t shipped = wanted.size();
  for (IdentifySetting& setting : settings_of(given)) {
    wanted.push_back({setting.base, std::move(setting.overrides), false});
  }
  const LayerCollector collector(cases, options, left, benches);
  std::vector<std::optional<TriedProfile>> tried(wanted.size());
  SpaceErrors errors;
  run_in_parts(pool, wanted.size(), options.progress, kIdentifyCollects, [&](size_t i) {
    try {
      tried[i] = collector.try_profile(wanted[i].name, wanted[i].settings, wanted[i].with_knobs);
    } catch (const Error& error) {
      // Not a profile of this build, as `facsim profile lint` says, or settings that contradict
      // each other; but a broken case is an error.
      const std::string& place = error.infos().front().place;
      const bool is_case = std::any_of(cases.begin(), cases.end(), [&](const IdentifyCase& c) {
        return place.starts_with(c.manifest() + ":");
      });
      if (is_case) throw;
      if (i >= shipped) errors.add({wanted[i].name, wanted[i].settings}, error);
    }
  });
  errors.raise_if_all(wanted.size() - shipped);
  LayerRules all;
  DistinctLayerRules distinct;
  for (std::optional<TriedProfile>& one : tried) {
    if (!one) continue;
    ++all.tried;
    if (one->keys.empty()) {
      one->member.refused = one->refused;
      one->member.reason = one->refusal;
      all.cannot_run.push_back(std::move(one->member));
      continue;
    }
    distinct.add(one->profile, one->keys, one->member);
  }
  for (std::optional<TriedProfile>& one : tried) {
    if (!one || one->keys.empty()) continue;
    for (KnobRules& knob : one->knobs) {
      ++all.tried;
      Profile changed = *one->profile;
      for (auto& [key, rules] : knob.rules) changed.ops[key] = std::move(rules);
      IdentifyCandidate member = one->member;
      member.evidence.clear();
      member.settings = std::move(knob.knob.overrides);
      distinct.add(std::make_shared<const Profile>(std::move(changed)), one->keys,
                   std::move(member));
    }
  }
  all.rules = distinct.take();
  return all;
}

}  // namespace facsim::backends::detail
