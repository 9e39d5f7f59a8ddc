// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/knobs.h"

#include <algorithm>
#include <map>
#include <utility>

#include "backends/parity/knob_values-internal.h"
#include "backends/parity/knobs-internal.h"
#include "backends/profile/algorithms-internal.h"
#include "backends/profile/profile_fields-internal.h"
#include "backends/profile/variants-internal.h"
#include "sim/core/check.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

using detail::Json;
using detail::KnobValue;
using detail::RulesKey;

/// A set of rules in which settings are changed: the profile's, an op's, or a variant's.
struct RulesPlace {
  std::string pointer;  ///< "", "/ops/conv2d", "/ops/conv2d/variants/int16x8"
  RulesKey key;         ///< op empty: the profile's
};

/// The profile first, then each op before its variants.
std::vector<RulesPlace> places_of(const Profile& profile, const std::set<std::string>& ops) {
  std::vector<RulesPlace> places = {{"", {}}};
  std::set<std::string> seen;
  for (const std::string& name : ops) {
    if (!profile.ops.contains(name)) continue;
    const RulesKey key = RulesKey::parse(name);
    const std::vector<std::string> pointers = key.places();
    for (size_t i = pointers.size() - 1; i-- > 0;) {  // without the last, the profile's own
      if (!seen.insert(pointers[i]).second) continue;
      places.push_back({pointers[i], i == 0 ? key : RulesKey{key.op, ""}});
    }
  }
  return places;
}

/// What a set of rules holds, defaults included.
Json rules_at(const Json& resolved, const RulesKey& key) {
  if (!key.op.empty()) return detail::effective_rules(resolved, key);
  Json rules = Json::object();
  for (const std::string& word : detail::rule_keys()) rules[word] = resolved[word];
  return rules;
}

bool has_own_value(const Json& resolved, const std::string& place, const KnobValue& value) {
  for (const KnobValue::Setting& setting : value.settings) {
    if (resolved.contains(Json::json_pointer(place + setting.pointer))) return true;
  }
  return false;
}

/// Settings of variants that an op's other algorithm would not take: they go, and the variants
/// follow the op.
std::vector<ProfileOverride> variants_along(const Json& resolved, const std::string& place,
                                            const KnobValue& value) {
  std::vector<ProfileOverride> overrides;
  const Json::json_pointer variants(place + "/variants");
  if (value.pointer != "/algorithm" || !resolved.contains(variants)) return overrides;
  for (const auto& [name, rules] : resolved.at(variants).items()) {
    const bool follows = rules.contains("params") && !rules.contains("algorithm");
    const std::string variant = json::child(place + "/variants", name);
    if (follows) overrides.push_back({variant + "/params", "null"});
  }
  return overrides;
}

/// As `--set` is typed: words without quotes.
std::string as_set(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// "conv2d" of "/ops/conv2d/…"; empty for a setting of the whole profile.
std::string op_of(const std::string& pointer) {
  constexpr std::string_view kOps = "/ops/";
  if (!pointer.starts_with(kOps)) return "";
  const size_t end = std::min(pointer.find('/', kOps.size()), pointer.size());
  return pointer.substr(kOps.size(), end - kOps.size());
}

/// "/ops/conv2d" or "/requantize": the member of a profile that a setting is inside of.
std::string member_of(const std::string& pointer) {
  const std::string op = op_of(pointer);
  return op.empty() ? pointer.substr(0, pointer.find('/', 1)) : "/ops/" + op;
}

void validate_at(const Json& profile, const std::string& pointer, std::vector<ErrorInfo>& errors) {
  const detail::Field* field = detail::find_field(detail::profile_fields(), pointer);
  const Json::json_pointer at(pointer);
  if (field == nullptr || !profile.contains(at)) return;
  const auto place = [](std::string_view where) { return std::string(where); };
  detail::validate(profile.at(at), *field, pointer, {place, place}, errors);
}

/// False if a setting deletes the op or its variant.
bool has_rules(const Json& ops, const RulesKey& key) {
  if (!ops.contains(key.op)) return false;
  if (key.variant.empty()) return true;
  const Json& op = ops.at(key.op);
  return op.contains("variants") && op.at("variants").contains(key.variant);
}

}  // namespace

namespace detail {

KnobBench::KnobBench(ResolvedProfile resolved)
    : profile_(read_profile(resolved)), resolved_(std::move(resolved)) {
  resolved_.sources.clear();
  resolved_.origin.clear();
  keys_ = rules_keys(resolved_.value);
  std::map<std::string, size_t> first;
  for (const RulesKey& key : keys_) {
    alike_.push_back(
        first.emplace(rules_text(resolved_.value["ops"], key), alike_.size()).first->second);
  }
}

KnobBench::KnobBench(std::string_view name_or_path, const ProfileSearch& search,
                     const std::vector<ProfileOverride>& base, const std::set<std::string>& ops)
    : KnobBench(resolve_profile(name_or_path, search, base)) {
  for (const std::string& op : ops) {
    if (profile_.ops.contains(op)) ops_.insert(op);
  }
}

KnobBench::KnobBench(std::string_view name_or_path, const ProfileSearch& search)
    : KnobBench(resolve_profile(name_or_path, search, {})) {
  for (const auto& [key, rules] : profile_.ops) ops_.insert(key);
}

KnobBench::KnobBench(const KnobBench& bench, const std::set<std::string>& ops) : KnobBench(bench) {
  ops_.clear();
  for (const std::string& op : ops) {
    if (profile_.ops.contains(op)) ops_.insert(op);
  }
}

std::optional<KnobBench::Changed> KnobBench::changed(
    const std::vector<ProfileOverride>& settings) const {
  Changed changed;
  for (const ProfileOverride& setting : settings) {
    const std::string op = op_of(setting.pointer);
    changed.all |= op.empty();
    if (!op.empty()) changed.ops.insert(op);
  }
  Json& value = changed.resolved.value;
  const Json& ops = resolved_.value["ops"];
  const bool of_all_ops =
      std::any_of(settings.begin(), settings.end(), [](const ProfileOverride& setting) {
        return setting.pointer.starts_with("/ops") && op_of(setting.pointer).empty();
      });
  if (of_all_ops) {
    for (const auto& [op, rules] : ops.items()) changed.ops.insert(op);
  }
  for (const auto& [word, member] : resolved_.value.items()) {
    if (word != "ops") value[word] = member;
  }
  value["ops"] = Json::object();
  for (const std::string& op : changed.ops) {
    if (ops.contains(op)) value["ops"][op] = ops[op];
  }
  std::vector<ErrorInfo> errors;
  for (const ProfileOverride& setting : settings) {
    apply_override(changed.resolved, setting, errors);
  }
  for (const ProfileOverride& setting : settings) {
    validate_at(value, member_of(setting.pointer), errors);
  }
  if (!errors.empty()) return std::nullopt;
  return changed;
}

const Json& KnobBench::ops_for(const Changed& changed, const RulesKey& key) const {
  const bool is_own = changed.ops.contains(key.op);
  return is_own ? changed.resolved.value["ops"] : resolved_.value["ops"];
}

Json KnobBench::effective(const std::vector<ProfileOverride>& settings,
                          const std::string& op) const {
  const RulesKey key = RulesKey::parse(op);
  if (settings.empty()) return effective_rules(resolved_.value, key);
  const std::optional<Changed> now = changed(settings);
  FACSIM_CHECK(now && has_rules(ops_for(*now, key), key));
  return effective_rules(now->resolved.value, ops_for(*now, key), key);
}

std::optional<OpRules> KnobBench::rules_with(const std::vector<ProfileOverride>& settings,
                                             const std::string& op) const {
  const std::optional<Changed> now = changed(settings);
  const RulesKey key = RulesKey::parse(op);
  if (!now || !has_rules(ops_for(*now, key), key)) return std::nullopt;
  std::vector<ErrorInfo> errors;
  OpRules rules = read_op_rules(now->resolved, ops_for(*now, key), key, errors);
  if (!errors.empty()) return std::nullopt;
  return rules;
}

std::optional<RulesByKey> KnobBench::changed_rules(
    const std::vector<ProfileOverride>& settings) const {
  const std::optional<Changed> now = changed(settings);
  if (!now) return std::nullopt;
  std::vector<ErrorInfo> errors;
  RulesByKey rules;
  const auto keep = [&](const std::string& name, const OpRules& read) {
    if (ops_.contains(name) && !(read == profile_.rules(name))) rules.emplace(name, read);
  };
  // Every rule is read, also of ops that nobody asked about: the profile as a whole must load.
  for (const RulesKey& key : rules_keys(now->resolved.value)) {
    const OpRules read = read_op_rules(now->resolved, now->resolved.value["ops"], key, errors);
    if (!errors.empty()) return std::nullopt;
    keep(key.name(), read);
  }
  if (!now->all) return rules;
  std::vector<std::optional<OpRules>> of_first(keys_.size());  // of those alike
  for (size_t k = 0; k < keys_.size(); ++k) {
    if (now->ops.contains(keys_[k].op)) continue;
    std::optional<OpRules>& read = of_first[alike_[k]];
    if (!read) {
      read = read_op_rules(now->resolved, resolved_.value["ops"], keys_[k], errors);
      if (!errors.empty()) return std::nullopt;
    }
    keep(keys_[k].name(), *read);
  }
  return rules;
}

std::vector<KnobRules> KnobBench::knobs(KnobScope scope) const {
  std::vector<KnobRules> knobs;
  std::map<std::string, std::vector<RulesByKey>> seen;  // by setting: the rules it has led to
  const Json& resolved = resolved_.value;
  for (const RulesPlace& place : places_of(profile_, ops_)) {
    for (const KnobValue& value : knob_values(rules_at(resolved, place.key), place.key.op)) {
      const bool is_own = place.pointer.empty() || has_own_value(resolved, place.pointer, value);
      if (!is_own && scope == KnobScope::own_values) continue;
      Knob knob{place.pointer + value.pointer, value.from.dump(), "", {}, ""};
      knob.to = value.settings.front().value.dump();
      std::string setting_text;
      for (const KnobValue::Setting& setting : value.settings) {
        knob.overrides.push_back({place.pointer + setting.pointer, as_set(setting.value)});
        setting_text += setting.pointer + "=" + setting.value.dump() + " ";
      }
      for (ProfileOverride& along : variants_along(resolved, place.pointer, value)) {
        knob.overrides.push_back(std::move(along));
      }
      std::optional<RulesByKey> rules = changed_rules(knob.overrides);
      if (!rules || rules->empty()) continue;  // does not exist, or changes nothing
      std::vector<RulesByKey>& same_setting = seen[setting_text];
      if (std::find(same_setting.begin(), same_setting.end(), *rules) != same_setting.end()) {
        continue;
      }
      same_setting.push_back(*rules);
      knob.sentence = knob_sentence(value, place.key.name());
      knobs.push_back({std::move(knob), std::move(*rules)});
    }
  }
  return knobs;
}

const KnobBench& KnobBenches::of(const std::string& profile) {
  Slot* slot = nullptr;
  {
    const std::lock_guard lock(mutex_);
    slot = &slots_[profile];
  }
  std::call_once(slot->read, [&] { slot->bench.emplace(profile, search_); });
  return *slot->bench;
}

}  // namespace detail

std::vector<Knob> profile_knobs(std::string_view name_or_path, const ProfileSearch& search,
                                const std::vector<ProfileOverride>& base,
                                const std::set<std::string>& ops, KnobScope scope) {
  std::vector<Knob> knobs;
  for (detail::KnobRules& one : detail::KnobBench(name_or_path, search, base, ops).knobs(scope)) {
    knobs.push_back(std::move(one.knob));
  }
  return knobs;
}

}  // namespace facsim::backends
