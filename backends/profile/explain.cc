// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "backends/profile/profile.h"
#include "backends/profile/profile_fields-internal.h"
#include "backends/profile/resolve-internal.h"
#include "backends/profile/variants-internal.h"
#include "backends/text/did_you_mean.h"

namespace facsim::backends {

namespace {

using detail::Field;
using detail::FieldKind;
using detail::Json;
using detail::ResolvedProfile;

const Json* value_at(const Json& root, std::string_view pointer) {
  try {
    const Json::json_pointer parsed{std::string(pointer)};
    return root.contains(parsed) ? &root.at(parsed) : nullptr;
  } catch (const Json::exception&) {
    return nullptr;
  }
}

/// What a pointer into /ops inherits from: "/ops/conv2d/accumulator/bits" of an op, then
/// "/accumulator/bits", for "/ops/conv2d/variants/int16x8/accumulator/bits".
struct Inherited {
  std::string op;                     ///< "/ops/conv2d"
  std::string variant;                ///< "int16x8"; empty: none
  std::string rule;                   ///< "/accumulator/bits"
  std::vector<std::string> pointers;  ///< the nearest first
};

Inherited inherited_from(std::string_view pointer) {
  constexpr std::string_view kOps = "/ops/", kVariants = "/variants/";
  Inherited from;
  if (!pointer.starts_with(kOps)) return from;
  const size_t end = std::min(pointer.find('/', kOps.size()), pointer.size());
  from.op = pointer.substr(0, end);
  std::string_view rest = pointer.substr(end);
  if (rest.starts_with(kVariants)) {
    rest.remove_prefix(kVariants.size());
    from.variant = rest.substr(0, rest.find('/'));
    rest.remove_prefix(from.variant.size());
    if (!rest.empty()) from.pointers.push_back(from.op + std::string(rest));
  }
  from.rule = rest;
  if (!rest.empty()) from.pointers.push_back(from.rule);
  return from;
}

/// Every pointer of the field tree, for suggestions (ops shown once).
void collect_pointers(const Field& field, const std::string& pointer,
                      std::vector<std::string>& pointers) {
  if (!pointer.empty()) pointers.push_back(pointer);
  if (field.kind != FieldKind::object) return;
  for (const Field& member : field.members) {
    if (pointer == "/ops") {
      pointers.push_back(pointer + "/" + member.key);
    } else {
      collect_pointers(member, pointer + "/" + member.key, pointers);
    }
  }
}

/// "svdf", and not a pointer.
bool is_word(std::string_view pointer) {
  return !pointer.empty() && pointer.find('/') == std::string_view::npos;
}

/// "/ops/conv2d" for "conv2d", "/ops/conv2d/variants/int16x8" for "conv2d int16x8"; empty if the
/// profile has no such op.
std::string pointer_of_op(const Json& profile, std::string_view phrase) {
  if (!is_word(phrase)) return "";
  const detail::RulesKey key = detail::RulesKey::parse(std::string(phrase));
  std::string pointer = json::child("/ops", key.op);
  if (!key.variant.empty()) pointer = json::child(pointer + "/variants", key.variant);
  return value_at(profile, pointer) == nullptr ? "" : pointer;
}

[[noreturn]] void refuse_op(const Json& profile, std::string_view name, std::string_view word) {
  std::vector<std::string> ops;
  if (const Json* all = value_at(profile, "/ops"); all != nullptr && all->is_object()) {
    for (const auto& [op, rules] : all->items()) ops.push_back(op);
  }
  const std::string op = detail::RulesKey::parse(std::string(word)).op;
  const bool exists = detail::find_field(detail::profile_fields(), json::child("/ops", op));
  throw Error({exists ? ErrorCode::unsupported : ErrorCode::bad_value,
               "profile " + std::string(name), "no op \"" + std::string(word) + "\"",
               fmt::format("one of its ops: {}; or a JSON pointer such as /accumulator/bits",
                           fmt::join(ops, ", ")),
               did_you_mean_hint(word, ops)});
}

void append_words(const Field& field, std::string& text) {
  for (const detail::Word& word : field.words) {
    text += fmt::format("    {:<26} {}\n", word.word, word.description);
  }
  if (field.kind != FieldKind::one_of) return;
  for (const Field& alternative : field.members) append_words(alternative, text);
}

void collect_settings(const Json& value, const std::string& pointer,
                      const ResolvedProfile& resolved, std::vector<ProfileSetting>& settings) {
  if (value.is_object() && !value.empty()) {
    for (const auto& [key, member] : value.items()) {
      collect_settings(member, json::child(pointer, key), resolved, settings);
    }
    return;
  }
  settings.push_back(
      {pointer, value.dump(), resolved.origin.contains(pointer) ? resolved.place(pointer) : ""});
}

}  // namespace

std::string explain_profile(std::string_view name_or_path, const ProfileSearch& search,
                            std::string_view pointer,
                            const std::vector<ProfileOverride>& overrides) {
  const ResolvedProfile resolved = detail::resolve_profile(name_or_path, search, overrides);
  const std::string op_pointer = pointer_of_op(resolved.value, pointer);
  if (!op_pointer.empty()) return explain_profile(name_or_path, search, op_pointer, overrides);
  const Field* field = detail::find_field(detail::profile_fields(), pointer);
  if (field == nullptr) {
    if (is_word(pointer)) refuse_op(resolved.value, name_or_path, pointer);
    std::vector<std::string> pointers;
    collect_pointers(detail::profile_fields(), "", pointers);
    throw Error({ErrorCode::bad_value, "pointer",
                 "\"" + std::string(pointer) + "\" is not in the format",
                 "a JSON pointer such as /accumulator/bits", did_you_mean_hint(pointer, pointers)});
  }

  std::string at(pointer);
  const Json* value = value_at(resolved.value, at);
  Json effective;
  std::string text;
  if (value == nullptr) {
    const Inherited from = inherited_from(pointer);
    const bool op_exists = from.pointers.empty() || value_at(resolved.value, from.op) != nullptr;
    if (!op_exists) {
      return fmt::format("{}: the op is absent, so this profile does not support it\n", pointer);
    }
    for (const std::string& wider : from.pointers) {
      value = value_at(resolved.value, wider);
      at = wider;
      if (value != nullptr) break;
    }
    // A type that the variant has from its `when`.
    const std::string variant = from.op + "/variants/" + from.variant;
    if (!from.variant.empty() && value_at(resolved.value, variant + "/when") != nullptr) {
      effective = detail::effective_rules(resolved.value, {from.op.substr(5), from.variant});
      const Json* own = value_at(effective, from.rule);
      if (own != nullptr && value != nullptr && *own != *value && !own->is_object()) {
        value = own;
        at = variant + "/when";
      }
    }
  }
  text += fmt::format("{} = {}\n", pointer.empty() ? "(the profile)" : pointer,
                      value == nullptr ? "absent" : detail::shown(*value));
  if (value != nullptr && value->is_array()) text += fmt::format("    {}\n", value->dump());
  if (value != nullptr && value->is_object()) {
    for (const auto& [key, member] : value->items()) {
      text += fmt::format("    {:<26} {}\n", key, detail::shown(member));
    }
  }
  if (at != pointer && value != nullptr)
    text += fmt::format("  from     {}{}\n", at, at.starts_with("/ops/") ? "" : " of the profile");
  if (value != nullptr) {
    text += "  set by   " +
            (resolved.origin.contains(at) ? resolved.place(at)
                                          : std::string("a default of the format")) +
            "\n";
  }
  // Files of the chain that say something else.
  const auto origin = resolved.origin.find(at);
  for (size_t i = resolved.sources.size(); i-- > 0;) {
    const ResolvedProfile::Source& source = resolved.sources[i];
    const bool is_the_one = origin != resolved.origin.end() && origin->second == i;
    const Json* other = source.is_override ? nullptr : value_at(source.document.value, at);
    if (!is_the_one && other != nullptr && !other->is_object()) {
      text += fmt::format("  over     {} = {}\n", source.document.place(at), detail::shown(*other));
    }
  }
  if (!field->description.empty()) text += fmt::format("  means    {}\n", field->description);
  text += fmt::format("  allowed  {}\n", detail::allowed_values(*field));
  append_words(*field, text);
  if (field->default_value && field->kind != FieldKind::object) {
    text += fmt::format("  default  {}\n", field->default_value->dump());
  }
  if (!field->example.empty()) text += fmt::format("  example  {}\n", field->example);
  return text;
}

std::vector<ProfileSetting> profile_settings(std::string_view name_or_path,
                                             const ProfileSearch& search,
                                             const std::vector<ProfileOverride>& overrides) {
  const ResolvedProfile resolved = detail::resolve_profile(name_or_path, search, overrides);
  std::vector<ProfileSetting> settings;
  collect_settings(resolved.value, "", resolved, settings);
  return settings;
}

}  // namespace facsim::backends
