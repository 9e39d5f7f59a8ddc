// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/json/positioned_json-internal.h"

namespace facsim::backends::detail {

using json::Json;

/// A word an enumerated field takes, with what it means.
struct Word {
  std::string word;
  std::string description;
};

/// map: an object whose keys the author chooses.
enum class FieldKind { object, map, list, one_of, integer, number, boolean, word, text, null };

/// One key of a profile: what it holds, what it means, what it is when absent. The tree of fields
/// (profile_fields) is the only description of the format: reading, the JSON Schema, `explain` and
/// the authoring guide's table come from it.
struct Field {
  std::string key;
  FieldKind kind = FieldKind::object;
  std::string description;
  std::string example;  ///< with numbers, for `explain`
  std::optional<Json>
      default_value;  ///< absent: the key may be missing and nothing takes its place
  bool required = false;
  int64_t min = std::numeric_limits<int64_t>::min();
  int64_t max = std::numeric_limits<int64_t>::max();
  bool positive = false;       ///< number: > 0
  std::string noun;            ///< word: "a rounding mode"
  std::vector<Word> words;     ///< word: the allowed ones; text: empty
  std::string pattern;         ///< text, keys of a map: ECMAScript regular expression
  std::vector<Field> members;  ///< object: by key; list, map: the element; one_of: alternatives

  const Field* member(std::string_view name) const;
};

/// Where an error about the value (or the key) at a pointer is reported.
struct Placer {
  std::function<std::string(std::string_view pointer)> value;
  std::function<std::string(std::string_view pointer)> key;
};

/// Appends every difference between `value` and the field's description: unknown keys (with a
/// suggestion), wrong types, numbers out of range, words that do not exist, missing required keys.
void validate(const Json& value, const Field& field, std::string_view pointer, const Placer& placer,
              std::vector<ErrorInfo>& errors);

/// Puts the defaults of absent members in place, recursively.
void fill_defaults(Json& value, const Field& field);

/// The field that describes `pointer`, or null.
const Field* find_field(const Field& root, std::string_view pointer);

/// What a field allows, in words: "an integer in 2..16", "one of a, b, c".
std::string allowed_values(const Field& field);

/// A value as it is shown in a message, at most 60 characters.
std::string shown(const Json& value);

}  // namespace facsim::backends::detail
