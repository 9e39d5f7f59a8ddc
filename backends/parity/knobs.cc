// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/knobs.h"

#include <algorithm>
#include <map>
#include <utility>

#include "backends/parity/knob_values-internal.h"
#include "backends/profile/profile_fields-internal.h"
#include "backends/profile/resolve-internal.h"
#include "backends/profile/variants-internal.h"
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

using Rules = std::map<std::string, OpRules>;

Rules rules_of(const Profile& profile, const std::set<std::string>& ops) {
  Rules rules;
  for (const std::string& op : ops) {
    if (const auto it = profile.ops.find(op); it != profile.ops.end()) rules.insert(*it);
  }
  return rules;
}

}  // namespace

std::vector<Knob> profile_knobs(std::string_view name_or_path, const ProfileSearch& search,
                                const std::vector<ProfileOverride>& base,
                                const std::set<std::string>& ops, KnobScope scope) {
  const Profile profile = load_profile(name_or_path, search, base);
  const Json resolved = detail::resolve_profile(name_or_path, search, base).value;
  const Rules own = rules_of(profile, ops);

  std::vector<Knob> knobs;
  std::map<std::string, std::vector<Rules>> seen;  // by setting: the rules it has led to
  for (const RulesPlace& place : places_of(profile, ops)) {
    for (const KnobValue& value :
         detail::knob_values(rules_at(resolved, place.key), place.key.op)) {
      if (!place.pointer.empty() && scope == KnobScope::own_values &&
          !has_own_value(resolved, place.pointer, value)) {
        continue;
      }
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
      std::vector<ProfileOverride> overrides = base;
      overrides.insert(overrides.end(), knob.overrides.begin(), knob.overrides.end());
      Rules rules;
      try {
        rules = rules_of(load_profile(name_or_path, search, overrides), ops);
      } catch (const Error&) {
        continue;  // not a profile: this combination does not exist
      }
      if (rules == own) continue;
      std::vector<Rules>& same_setting = seen[setting_text];
      if (std::find(same_setting.begin(), same_setting.end(), rules) != same_setting.end())
        continue;
      same_setting.push_back(std::move(rules));
      knob.sentence = detail::knob_sentence(value, place.key.name());
      knobs.push_back(std::move(knob));
    }
  }
  return knobs;
}

}  // namespace facsim::backends
