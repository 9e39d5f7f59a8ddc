// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "backends/profile/field-internal.h"

/// The words in which the tree of fields is written.
namespace facsim::backends::detail {

Field object(std::string key, std::string description, std::vector<Field> members);
/// An object whose keys the author chooses, matching `key_pattern`; every value is `element`.
Field map_of(std::string key, std::string description, std::string key_pattern, Field element);
Field integer(std::string key, std::string description, int64_t min, int64_t max);
Field boolean(std::string key, std::string description);
Field number(std::string key, std::string description);
Field positive_number(std::string key, std::string description);
Field text(std::string key, std::string description, std::string pattern = "");
Field word(std::string key, std::string noun, std::string description, std::vector<Word> words);
Field list(std::string key, std::string description, Field element);
Field one_of(std::string key, std::string description, std::vector<Field> alternatives);
Field null_value(std::string description);

Field with_default(Field field, Json value);
Field with_example(Field field, std::string example);
Field as_required(Field field);
/// The field and its members without defaults: absent means inherited.
Field without_defaults(Field field);

Field rounding_word(std::string key, std::string description);
Field overflow_word(std::string key, std::string description);
/// An integer in min..max, or null.
Field optional_integer(std::string key, std::string description, int64_t min, int64_t max,
                       std::string null_means);
/// int2, uint2, … int32, uint32.
std::vector<Word> type_words();

}  // namespace facsim::backends::detail
