// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/json/object_reader-internal.h"
#include "backends/text/did_you_mean.h"

namespace facsim::backends::json {

namespace {

std::string count_text(CountRange count, std::string_view what) {
  if (count.min == count.max) return fmt::format("a list of {} {}", count.min, what);
  return fmt::format("a list of {} to {} {}", count.min, count.max, what);
}

std::optional<int64_t> to_integer(const Json& value, IntegerRange range) {
  if (!value.is_number_integer()) return {};
  const auto number = value.get<int64_t>();
  if (number < range.min || number > range.max) return {};
  return number;
}

/// Doubles are written for floats (exact), so this rounds only what a person typed.
std::optional<float> to_number(const Json& value) {
  if (!value.is_number()) return {};
  const auto number = value.get<double>();
  if (!(std::abs(number) <= std::numeric_limits<float>::max())) return {};
  return static_cast<float>(number);
}

std::optional<std::string> to_text(const Json& value) {
  constexpr size_t kMaxBytes = 4096;
  if (!value.is_string()) return {};
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > kMaxBytes) return {};
  return text;
}

}  // namespace

std::string excerpt(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  constexpr size_t kMaxBytes = 80;
  if (text.size() > kMaxBytes) text = text.substr(0, kMaxBytes - 3) + "...";
  return text;
}

ObjectReader::ObjectReader(const Document& document, const Json& value, std::string pointer,
                           std::vector<ErrorInfo>& errors)
    : document_(document), value_(value), pointer_(std::move(pointer)), errors_(errors) {
  if (!value_.is_object()) {
    errors_.push_back({ErrorCode::bad_value, place(), excerpt(value_), "an object", ""});
  }
}

bool ObjectReader::has(std::string_view key) const {
  return value_.is_object() && value_.contains(key);
}

const Json* ObjectReader::member(std::string_view key, Presence presence) {
  keys_.emplace_back(key);
  if (has(key)) return &value_.at(std::string(key));
  if (presence == Presence::required && value_.is_object()) {
    errors_.push_back(
        {ErrorCode::missing_key, place(), "missing \"" + std::string(key) + "\"", "", ""});
  }
  return nullptr;
}

void ObjectReader::fail(std::string_view key, std::string found, std::string expected,
                        std::string hint, ErrorCode code) {
  errors_.push_back({code, place(key), std::move(found), std::move(expected), std::move(hint)});
}

int64_t ObjectReader::integer(std::string_view key, IntegerRange range,
                              std::optional<int64_t> absent) {
  const Json* value = member(key, absent ? Presence::optional : Presence::required);
  if (value == nullptr) return absent.value_or(range.min);
  if (const auto number = to_integer(*value, range)) return *number;
  fail(key, excerpt(*value), fmt::format("an integer in {}..{}", range.min, range.max));
  return range.min;
}

float ObjectReader::number(std::string_view key, std::optional<float> absent) {
  const Json* value = member(key, absent ? Presence::optional : Presence::required);
  if (value == nullptr) return absent.value_or(1.0f);
  if (const auto number = to_number(*value)) return *number;
  fail(key, excerpt(*value), "a number, finite in float32");
  return 1.0f;
}

bool ObjectReader::boolean(std::string_view key, std::optional<bool> absent) {
  const Json* value = member(key, absent ? Presence::optional : Presence::required);
  if (value == nullptr) return absent.value_or(false);
  if (value->is_boolean()) return value->get<bool>();
  fail(key, excerpt(*value), "true or false");
  return false;
}

std::string ObjectReader::text(std::string_view key, std::optional<std::string> absent) {
  const Json* value = member(key, absent ? Presence::optional : Presence::required);
  if (value == nullptr) return absent.value_or("");
  if (auto text = to_text(*value)) return std::move(*text);
  fail(key, excerpt(*value), "a text of at most 4096 bytes");
  return "";
}

std::string ObjectReader::word(std::string_view key, std::span<const std::string> words,
                               std::string_view noun, std::optional<std::string> absent) {
  const Json* value = member(key, absent ? Presence::optional : Presence::required);
  if (value == nullptr) return absent.value_or(words.front());
  const std::optional<std::string> found = to_text(*value);
  if (found && std::find(words.begin(), words.end(), *found) != words.end()) return *found;
  fail(key, fmt::format("{} is not {}", excerpt(*value), noun),
       fmt::format("one of {}", fmt::join(words, ", ")),
       found ? did_you_mean_hint(*found, words) : "");
  return words.front();
}

template <class T, class Convert>
std::vector<T> ObjectReader::elements(std::string_view key, CountRange count,
                                      std::optional<std::vector<T>> absent, std::string_view what,
                                      Convert convert) {
  const Json* value = member(key, absent ? Presence::optional : Presence::required);
  std::vector<T> result(count.min);
  if (value == nullptr) return absent ? std::move(*absent) : result;
  if (!value->is_array() || value->size() < count.min || value->size() > count.max) {
    fail(key, excerpt(*value), count_text(count, what));
    return result;
  }
  result.resize(value->size());
  for (size_t i = 0; i < value->size(); ++i) {
    if (std::optional<T> element = convert((*value)[i])) {
      result[i] = std::move(*element);
    } else {
      errors_.push_back({ErrorCode::bad_value, document_.place(child(pointer(key), i)),
                         excerpt((*value)[i]), "a list of " + std::string(what), ""});
    }
  }
  return result;
}

ObjectReader::Integers ObjectReader::integers(std::string_view key, IntegerRange range,
                                              CountRange count, std::optional<Integers> absent) {
  return elements<int64_t>(key, count, std::move(absent),
                           fmt::format("integers in {}..{}", range.min, range.max),
                           [&](const Json& value) { return to_integer(value, range); });
}

ObjectReader::Numbers ObjectReader::numbers(std::string_view key, CountRange count,
                                            std::optional<Numbers> absent) {
  return elements<float>(key, count, std::move(absent), "finite numbers", to_number);
}

ObjectReader::Texts ObjectReader::texts(std::string_view key, CountRange count,
                                        std::optional<Texts> absent) {
  return elements<std::string>(key, count, std::move(absent), "texts", to_text);
}

std::span<const Json> ObjectReader::list(std::string_view key, size_t max, Presence presence) {
  const Json* value = member(key, presence);
  if (value == nullptr) return {};
  if (!value->is_array() || value->size() > max) {
    fail(key, excerpt(*value), fmt::format("a list of at most {}", max));
    return {};
  }
  const auto& values = value->get_ref<const Json::array_t&>();
  return {values.data(), values.size()};
}

void ObjectReader::finish() {
  if (!value_.is_object()) return;
  for (const auto& [key, value] : value_.items()) {
    if (std::find(keys_.begin(), keys_.end(), key) != keys_.end()) continue;
    errors_.push_back(
        {ErrorCode::unknown_key, document_.key_place(pointer(key)), "unknown key \"" + key + "\"",
         fmt::format("one of {}", fmt::join(keys_, ", ")), did_you_mean_hint(key, keys_)});
  }
}

}  // namespace facsim::backends::json
