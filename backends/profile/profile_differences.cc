// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/profile_differences.h"

#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>

#include "backends/profile/profile_fields-internal.h"
#include "backends/profile/resolve-internal.h"
#include "backends/profile/variants-internal.h"

namespace facsim::backends {

namespace {

using detail::Field;
using detail::FieldKind;
using detail::Json;
using detail::ResolvedProfile;
using detail::RulesKey;

const Json* find(const Json& root, const std::string& pointer) {
  const Json::json_pointer at(pointer);
  return root.contains(at) ? &root.at(at) : nullptr;
}

std::string word_description(const Field& field, const Json* value) {
  if (value == nullptr || !value->is_string()) return "";
  for (const detail::Word& word : field.words) {
    if (*value == word.word && !word.description.empty()) {
      return fmt::format("; {}: {}", word.word, word.description);
    }
  }
  if (field.kind != FieldKind::one_of) return "";
  for (const Field& alternative : field.members) {
    std::string text = word_description(alternative, value);
    if (!text.empty()) return text;
  }
  return "";
}

std::string meaning_of(const std::string& pointer, const Json* a, const Json* b) {
  const Field* field = detail::find_field(detail::profile_fields(), pointer);
  if (field == nullptr) return "";
  return field->description + word_description(*field, a) + word_description(*field, b);
}

/// Members of an object in the order of the fields; the author's own names sorted.
std::vector<std::string> member_names(const Json* a, const Json* b, const Field* field) {
  std::set<std::string> names;
  for (const Json* side : {a, b}) {
    if (side == nullptr || !side->is_object()) continue;
    for (const auto& [key, value] : side->items()) names.insert(key);
  }
  std::vector<std::string> ordered;
  if (field != nullptr && field->kind == FieldKind::object) {
    for (const Field& member : field->members) {
      if (names.erase(member.key) > 0) ordered.push_back(member.key);
    }
  }
  ordered.insert(ordered.end(), names.begin(), names.end());
  return ordered;
}

/// Calls `differs(pointer, a, b)` for the outermost places where the values are not equal and not
/// both objects.
using Report = std::function<void(const std::string&, const Json*, const Json*)>;
void walk(const Json* a, const Json* b, const std::string& pointer, const std::string& field_at,
          const Report& differs) {
  if (a == nullptr && b == nullptr) return;
  if (a != nullptr && b != nullptr && *a == *b) return;
  const bool both_objects = a != nullptr && b != nullptr && a->is_object() && b->is_object();
  if (!both_objects) return differs(pointer, a, b);
  const Field* field = detail::find_field(detail::profile_fields(), field_at);
  for (const std::string& name : member_names(a, b, field)) {
    const auto in_a = a->find(name), in_b = b->find(name);
    walk(in_a == a->end() ? nullptr : &*in_a, in_b == b->end() ? nullptr : &*in_b,
         json::child(pointer, name), json::child(field_at, name), differs);
  }
}

class Differ {
 public:
  Differ(const ResolvedProfile& a, const ResolvedProfile& b) : a_(a), b_(b) {}

  std::vector<SettingDifference> all() {
    add_profile_rules();
    for (const std::string& op : detail::profile_ops()) add_op(op);
    for (const char* key : {"training", "fusion"}) {
      const std::string pointer = std::string("/") + key;
      walk(find(a_.value, pointer), find(b_.value, pointer), pointer, pointer,
           [&](const std::string& at, const Json* va, const Json* vb) { add(at, at, at, va, vb); });
    }
    return std::move(differences_);
  }

 private:
  static std::string place(const ResolvedProfile& profile, const std::string& pointer) {
    if (!profile.origin.contains(pointer)) return "";
    const std::string text = profile.place(pointer);
    return text.substr(0, text.find(" /", text.starts_with("--set ") ? text.size() : 0));
  }

  void add(const std::string& pointer, const std::string& pointer_a, const std::string& pointer_b,
           const Json* a, const Json* b) {
    differences_.push_back({pointer, a == nullptr ? "" : a->dump(), b == nullptr ? "" : b->dump(),
                            a == nullptr ? "" : place(a_, pointer_a),
                            b == nullptr ? "" : place(b_, pointer_b), meaning_of(pointer, a, b)});
  }

  void add_profile_rules() {
    std::vector<std::string> keys = {"determinism", "tolerance_lsb"};
    keys.insert(keys.end(), detail::rule_keys().begin(), detail::rule_keys().end());
    for (const std::string& key : keys) {
      const std::string pointer = "/" + key;
      walk(find(a_.value, pointer), find(b_.value, pointer), pointer, pointer,
           [&](const std::string& at, const Json* va, const Json* vb) { add(at, at, at, va, vb); });
    }
  }

  void add_op(const std::string& op) {
    const std::string pointer = "/ops/" + op;
    const Json *a = find(a_.value, pointer), *b = find(b_.value, pointer);
    if (a == nullptr && b == nullptr) return;
    if (a == nullptr || b == nullptr) {
      const Json present = "supported";
      differences_.push_back(
          {pointer, a == nullptr ? "" : present.dump(), b == nullptr ? "" : present.dump(),
           a == nullptr ? "" : place(a_, pointer), b == nullptr ? "" : place(b_, pointer),
           "an op that is absent is unsupported"});
      return;
    }
    add_rules({op, ""});
    std::set<std::string> variants;
    for (const Json* side : {a, b}) {
      const auto found = side->find("variants");
      if (found == side->end()) continue;
      for (const auto& [name, rules] : found->items()) variants.insert(name);
    }
    for (const std::string& variant : variants) {
      const std::string at = json::child(pointer + "/variants", variant);
      const Json *in_a = find(a_.value, at), *in_b = find(b_.value, at);
      if (in_a != nullptr && in_b != nullptr) {
        add_rules({op, variant});
        continue;
      }
      const Json present = "own rules";
      differences_.push_back(
          {at, in_a == nullptr ? "" : present.dump(), in_b == nullptr ? "" : present.dump(),
           in_a == nullptr ? "" : place(a_, at), in_b == nullptr ? "" : place(b_, at),
           "rules for certain types; without them the op's own hold"});
    }
  }

  /// What one entry of /ops does otherwise, unless the rules around it already say so.
  void add_rules(const RulesKey& key) {
    const std::vector<std::string> places = key.places();
    const Json a = detail::effective_rules(a_.value, key);
    const Json b = detail::effective_rules(b_.value, key);
    const Json &own_a = a_.value.at(Json::json_pointer(places.front())),
               &own_b = b_.value.at(Json::json_pointer(places.front()));
    const auto report = [&](const std::string& at, const Json* va, const Json* vb) {
      const std::string rule = at.substr(places.front().size());
      const auto written = [&](const Json& own) { return find(own, rule) != nullptr; };
      if (!written(own_a) && !written(own_b)) return;  // said where it is written
      add(at, key.pointer_of(a_, rule), key.pointer_of(b_, rule), va, vb);
    };
    walk(&a, &b, places.front(), places.front(), report);
    // What is no numeric rule: conditions and names.
    for (const char* other : {"when", "aliases"}) {
      const std::string at = places.front() + "/" + other;
      walk(find(a_.value, at), find(b_.value, at), at, at,
           [&](const std::string& pointer, const Json* va, const Json* vb) {
             add(pointer, pointer, pointer, va, vb);
           });
    }
  }

  const ResolvedProfile &a_, &b_;
  std::vector<SettingDifference> differences_;
};

}  // namespace

std::vector<SettingDifference> setting_differences(const ProfileChoice& a, const ProfileChoice& b,
                                                   const ProfileSearch& search) {
  load_profile(a.name_or_path, search, a.overrides);  // says what is wrong with their meaning
  load_profile(b.name_or_path, search, b.overrides);
  return Differ(detail::resolve_profile(a.name_or_path, search, a.overrides),
                detail::resolve_profile(b.name_or_path, search, b.overrides))
      .all();
}

}  // namespace facsim::backends
