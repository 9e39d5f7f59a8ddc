// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/json/positioned_json-internal.h"

namespace facsim::backends::json {

struct IntegerRange {
  int64_t min;
  int64_t max;
};
struct CountRange {
  size_t min;
  size_t max;
};

/// Reads the members of one JSON object into plain values and collects every finding instead of
/// stopping at the first. Each call names a key once; `finish` reports the keys nobody asked for.
///
/// `absent` is the value of a missing key; without one the key is required. After a finding the
/// call returns a value that is legal for the type, so that reading can go on; the caller throws if
/// the list of errors is not empty.
class ObjectReader {
 public:
  /// `value` belongs to `document`; if it is no object, that is the only finding.
  ObjectReader(const Document& document, const Json& value, std::string pointer,
               std::vector<ErrorInfo>& errors);

  bool has(std::string_view key) const;
  int64_t integer(std::string_view key, IntegerRange range, std::optional<int64_t> absent = {});
  float number(std::string_view key, std::optional<float> absent = {});  ///< finite in float32
  bool boolean(std::string_view key, std::optional<bool> absent = {});
  std::string text(std::string_view key, std::optional<std::string> absent = {});
  /// One of `words`; `noun` completes "is not …" ("a rounding mode").
  std::string word(std::string_view key, std::span<const std::string> words, std::string_view noun,
                   std::optional<std::string> absent = {});

  using Integers = std::vector<int64_t>;
  using Numbers = std::vector<float>;
  using Texts = std::vector<std::string>;
  Integers integers(std::string_view key, IntegerRange range, CountRange count,
                    std::optional<Integers> absent = {});
  Numbers numbers(std::string_view key, CountRange count, std::optional<Numbers> absent = {});
  Texts texts(std::string_view key, CountRange count, std::optional<Texts> absent = {});

  /// The value itself, marked as read, or null when the key is missing (an error if required).
  enum class Presence { required, optional };
  const Json* member(std::string_view key, Presence presence);
  /// A member that is a list of at most `max` values; empty after a finding.
  std::span<const Json> list(std::string_view key, size_t max, Presence presence);

  std::string pointer(std::string_view key) const { return child(pointer_, key); }
  std::string place() const { return document_.place(pointer_); }
  std::string place(std::string_view key) const { return document_.place(pointer(key)); }
  /// Adds a finding about a member's value.
  void fail(std::string_view key, std::string found, std::string expected = "",
            std::string hint = "", ErrorCode code = ErrorCode::bad_value);

  /// Reports unknown keys, with a suggestion.
  void finish();

 private:
  template <class T, class Convert>
  std::vector<T> elements(std::string_view key, CountRange count,
                          std::optional<std::vector<T>> absent, std::string_view what,
                          Convert convert);

  const Document& document_;
  const Json& value_;
  std::string pointer_;
  std::vector<ErrorInfo>& errors_;
  std::vector<std::string> keys_;
};

/// A value as it is shown in a message: at most 60 bytes.
std::string excerpt(const Json& value);

}  // namespace facsim::backends::json
