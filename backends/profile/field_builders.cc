// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/field_builders-internal.h"

#include <utility>

namespace facsim::backends::detail {

Field object(std::string key, std::string description, std::vector<Field> members) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::object;
  field.description = std::move(description);
  field.members = std::move(members);
  field.default_value = Json::object();
  return field;
}

Field map_of(std::string key, std::string description, std::string key_pattern, Field element) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::map;
  field.description = std::move(description);
  field.pattern = std::move(key_pattern);
  field.members.push_back(std::move(element));
  return field;
}

Field integer(std::string key, std::string description, int64_t min, int64_t max) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::integer;
  field.description = std::move(description);
  field.min = min;
  field.max = max;
  return field;
}

Field boolean(std::string key, std::string description) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::boolean;
  field.description = std::move(description);
  return field;
}

Field number(std::string key, std::string description) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::number;
  field.description = std::move(description);
  return field;
}

Field positive_number(std::string key, std::string description) {
  Field field = number(std::move(key), std::move(description));
  field.positive = true;
  return field;
}

Field text(std::string key, std::string description, std::string pattern) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::text;
  field.description = std::move(description);
  field.pattern = std::move(pattern);
  return field;
}

Field word(std::string key, std::string noun, std::string description, std::vector<Word> words) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::word;
  field.noun = std::move(noun);
  field.description = std::move(description);
  field.words = std::move(words);
  return field;
}

Field list(std::string key, std::string description, Field element) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::list;
  field.description = std::move(description);
  field.members.push_back(std::move(element));
  return field;
}

Field one_of(std::string key, std::string description, std::vector<Field> alternatives) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::one_of;
  field.description = std::move(description);
  field.members = std::move(alternatives);
  return field;
}

Field null_value(std::string description) {
  Field field;
  field.kind = FieldKind::null;
  field.description = std::move(description);
  return field;
}

Field with_default(Field field, Json value) {
  field.default_value = std::move(value);
  return field;
}

Field with_example(Field field, std::string example) {
  field.example = std::move(example);
  return field;
}

Field as_required(Field field) {
  field.required = true;
  return field;
}

Field without_defaults(Field field) {
  field.default_value.reset();
  for (Field& member : field.members) member = without_defaults(std::move(member));
  return field;
}

Field rounding_word(std::string key, std::string description) {
  Field field =
      word(std::move(key), "a rounding mode", std::move(description),
           {{"half_up", "nearest, ties towards +infinity: -0.5 -> 0, 0.5 -> 1"},
            {"half_down", "nearest, ties towards -infinity: -0.5 -> -1, 0.5 -> 0"},
            {"half_away_from_zero", "nearest, ties away from zero (C round): -0.5 -> -1, 0.5 -> 1"},
            {"half_toward_zero", "nearest, ties towards zero: -0.5 -> 0, 0.5 -> 0, 1.5 -> 1"},
            {"half_even", "nearest, ties to the even neighbour (IEEE, rint): 0.5 -> 0, 1.5 -> 2"},
            {"half_odd", "nearest, ties to the odd neighbour: 0.5 -> 1, 1.5 -> 1"},
            {"floor", "towards -infinity (an arithmetic right shift): -0.3 -> -1"},
            {"ceil", "towards +infinity: 0.3 -> 1"},
            {"toward_zero", "cut (a C cast): -1.7 -> -1"},
            {"away_from_zero", "away from zero unless exact: 1.2 -> 2"},
            {"neg_half_up_pos_half_even",
             "negative values half_up, positive half_even: -1.5 -> -1, 0.5 -> 0"}});
  return with_example(std::move(field),
                      "-1.5, -0.5, 0.5, 1.5, 2.5 become: half_up -1 0 1 2 3; half_away_from_zero "
                      "-2 -1 1 2 3; half_even -2 0 0 2 2; floor -2 -1 0 1 2");
}

Field overflow_word(std::string key, std::string description) {
  return with_example(word(std::move(key), "an overflow policy", std::move(description),
                           {{"wrap", "modulo 2^bits: int8 130 -> -126"},
                            {"saturate", "to the nearer end of the type: int8 130 -> 127"},
                            {"saturate_symmetric", "to [-max, max]: int8 -130 -> -127"},
                            {"saturate_zero", "values outside become 0"},
                            {"error", "the run stops with an error"}}),
                      "130 in int8: wrap -126, saturate 127");
}

Field optional_integer(std::string key, std::string description, int64_t min, int64_t max,
                       std::string null_means) {
  return with_default(
      one_of(std::move(key), std::move(description),
             {integer("", "a number", min, max), null_value(std::move(null_means))}),
      nullptr);
}

std::vector<Word> type_words() {
  std::vector<Word> words;
  for (const int bits : {2, 3, 4, 5, 6, 7, 8, 16, 32}) {
    words.push_back({"int" + std::to_string(bits), "two's complement"});
    words.push_back({"uint" + std::to_string(bits), "unsigned"});
  }
  return words;
}

}  // namespace facsim::backends::detail
