// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <map>
#include <regex>

#include "backends/profile/field-internal.h"
#include "backends/text/did_you_mean.h"

namespace facsim::backends::detail {

namespace {

std::vector<std::string> keys_of(const Field& field) {
  std::vector<std::string> keys;
  for (const Field& member : field.members) keys.push_back(member.key);
  return keys;
}

std::vector<std::string> words_of(const Field& field) {
  std::vector<std::string> words;
  for (const Word& word : field.words) words.push_back(word.word);
  return words;
}

bool type_matches(const Json& value, FieldKind kind) {
  switch (kind) {
    case FieldKind::object:
    case FieldKind::map:
      return value.is_object();
    case FieldKind::list:
      return value.is_array();
    case FieldKind::integer:
      return value.is_number_integer();
    case FieldKind::number:
      return value.is_number();
    case FieldKind::boolean:
      return value.is_boolean();
    case FieldKind::word:
    case FieldKind::text:
      return value.is_string();
    case FieldKind::null:
      return value.is_null();
    case FieldKind::one_of:
      return true;
  }
  return false;
}

/// The alternative of a one_of that a value of this JSON type belongs to, or null.
const Field* alternative_for(const Field& field, const Json& value) {
  for (const Field& alternative : field.members) {
    if (type_matches(value, alternative.kind)) return &alternative;
  }
  return nullptr;
}

void validate_object(const Json& value, const Field& field, std::string_view pointer,
                     const Placer& placer, std::vector<ErrorInfo>& errors) {
  for (const auto& [key, member_value] : value.items()) {
    const std::string member_pointer = json::child(pointer, key);
    if (const Field* member = field.member(key)) {
      validate(member_value, *member, member_pointer, placer, errors);
      continue;
    }
    const std::vector<std::string> keys = keys_of(field);
    errors.push_back(
        {ErrorCode::unknown_key, placer.key(member_pointer), "unknown key \"" + key + "\"",
         fmt::format("one of {}", fmt::join(keys, ", ")), did_you_mean_hint(key, keys)});
  }
  for (const Field& member : field.members) {
    if (member.required && !value.contains(member.key)) {
      errors.push_back({ErrorCode::missing_key, placer.value(pointer),
                        "missing \"" + member.key + "\"", allowed_values(member), ""});
    }
  }
}

/// Compiled once a thread: the field tree holds a handful of patterns, and compiling one takes
/// longer than the rest of a profile's check.
const std::regex& compiled(const std::string& pattern) {
  thread_local std::map<std::string, std::regex> cache;
  const auto found = cache.find(pattern);
  if (found != cache.end()) return found->second;
  return cache.emplace(pattern, std::regex(pattern, std::regex::ECMAScript)).first->second;
}

bool matches(const std::string& found, const std::string& pattern) {
  // std::regex recurses once per character: bound the text first.
  return found.size() <= 4096 && (pattern.empty() || std::regex_match(found, compiled(pattern)));
}

void validate_map(const Json& value, const Field& field, std::string_view pointer,
                  const Placer& placer, std::vector<ErrorInfo>& errors) {
  for (const auto& [key, member_value] : value.items()) {
    const std::string member_pointer = json::child(pointer, key);
    if (!matches(key, field.pattern)) {
      errors.push_back({ErrorCode::bad_value, placer.key(member_pointer), shown(Json(key)),
                        "a name that matches " + field.pattern, ""});
      continue;
    }
    validate(member_value, field.members.front(), member_pointer, placer, errors);
  }
}

void validate_word(const Json& value, const Field& field, std::string_view pointer,
                   const Placer& placer, std::vector<ErrorInfo>& errors) {
  const std::string& found = value.get_ref<const std::string&>();
  const std::vector<std::string> words = words_of(field);
  for (const std::string& word : words) {
    if (word == found) return;
  }
  errors.push_back({ErrorCode::bad_value, placer.value(pointer),
                    "\"" + found + "\" is not " + field.noun, allowed_values(field),
                    did_you_mean_hint(found, words)});
}

void validate_text(const Json& value, const Field& field, std::string_view pointer,
                   const Placer& placer, std::vector<ErrorInfo>& errors) {
  if (!matches(value.get_ref<const std::string&>(), field.pattern)) {
    errors.push_back(
        {ErrorCode::bad_value, placer.value(pointer), shown(value), allowed_values(field), ""});
  }
}

}  // namespace

const Field* Field::member(std::string_view name) const {
  for (const Field& field : members) {
    if (field.key == name) return &field;
  }
  return nullptr;
}

std::string shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

std::string allowed_values(const Field& field) {
  switch (field.kind) {
    case FieldKind::object:
    case FieldKind::map:
      return "an object";
    case FieldKind::list:
      return "a list";
    case FieldKind::integer:
      if (field.min == std::numeric_limits<int64_t>::min()) return "an integer";
      return fmt::format("an integer in {}..{}", field.min, field.max);
    case FieldKind::number:
      return field.positive ? "a finite number > 0" : "a finite number";
    case FieldKind::boolean:
      return "true or false";
    case FieldKind::word:
      return fmt::format("one of {}", fmt::join(words_of(field), ", "));
    case FieldKind::text:
      return field.pattern.empty() ? "a text of at most 4096 bytes"
                                   : "a text that matches " + field.pattern;
    case FieldKind::null:
      return "null";
    case FieldKind::one_of: {
      std::vector<std::string> alternatives;
      for (const Field& member : field.members) alternatives.push_back(allowed_values(member));
      return fmt::format("{}", fmt::join(alternatives, ", or "));
    }
  }
  return "";
}

void validate(const Json& value, const Field& field, std::string_view pointer, const Placer& placer,
              std::vector<ErrorInfo>& errors) {
  if (field.kind == FieldKind::one_of) {
    if (const Field* alternative = alternative_for(field, value)) {
      validate(value, *alternative, pointer, placer, errors);
      return;
    }
  }
  const auto refuse = [&] {
    errors.push_back(
        {ErrorCode::bad_value, placer.value(pointer), shown(value), allowed_values(field), ""});
  };
  if (field.kind == FieldKind::one_of || !type_matches(value, field.kind)) return refuse();

  switch (field.kind) {
    case FieldKind::object:
      return validate_object(value, field, pointer, placer, errors);
    case FieldKind::map:
      if (value.size() > 256) return refuse();
      return validate_map(value, field, pointer, placer, errors);
    case FieldKind::list:
      if (static_cast<int64_t>(value.size()) > 256) return refuse();
      for (size_t i = 0; i < value.size(); ++i) {
        validate(value[i], field.members.front(), json::child(pointer, i), placer, errors);
      }
      return;
    case FieldKind::integer:
      if (value.get<int64_t>() < field.min || value.get<int64_t>() > field.max) refuse();
      return;
    case FieldKind::number: {
      const double number = value.get<double>();
      if (!std::isfinite(number) || (field.positive && !(number > 0))) refuse();
      return;
    }
    case FieldKind::word:
      return validate_word(value, field, pointer, placer, errors);
    case FieldKind::text:
      return validate_text(value, field, pointer, placer, errors);
    case FieldKind::boolean:
    case FieldKind::null:
    case FieldKind::one_of:
      return;
  }
}

void fill_defaults(Json& value, const Field& field) {
  if (!value.is_object()) return;
  if (field.kind == FieldKind::one_of) {
    const Field* object = alternative_for(field, value);
    return object == nullptr ? void() : fill_defaults(value, *object);
  }
  if (field.kind == FieldKind::map) {
    for (auto& [key, element] : value.items()) fill_defaults(element, field.members.front());
  }
  if (field.kind != FieldKind::object) return;
  for (const Field& member : field.members) {
    if (!value.contains(member.key)) {
      if (member.default_value) {
        value[member.key] = *member.default_value;
      } else {
        continue;
      }
    }
    fill_defaults(value[member.key], member);
  }
}

const Field* find_field(const Field& root, std::string_view pointer) {
  const Field* field = &root;
  while (!pointer.empty()) {
    if (pointer.front() != '/') return nullptr;
    pointer.remove_prefix(1);
    const size_t slash = std::min(pointer.find('/'), pointer.size());
    const std::string_view token = pointer.substr(0, slash);
    pointer.remove_prefix(slash);
    const bool is_index =
        !token.empty() && token.find_first_not_of("0123456789") == std::string_view::npos;
    if (field->kind == FieldKind::one_of) {  // the alternative that has members
      for (const Field& alternative : field->members) {
        const FieldKind wanted = is_index ? FieldKind::list : FieldKind::object;
        if (alternative.kind == wanted) field = &alternative;
      }
    }
    const bool is_element =
        field->kind == FieldKind::map || (field->kind == FieldKind::list && is_index);
    field = is_element ? &field->members.front() : field->member(token);
    if (field == nullptr) return nullptr;
  }
  return field;
}

}  // namespace facsim::backends::detail
