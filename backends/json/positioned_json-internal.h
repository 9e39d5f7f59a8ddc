// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/error.h"

namespace facsim::backends::json {

using Json = nlohmann::json;

enum class Comments { refused, allowed };

struct ReadOptions {
  uint64_t max_bytes = uint64_t{1} << 20;
  int max_depth = 64;
  Comments comments = Comments::refused;
};

/// A place in a text: line and column from 1, the column in characters (UTF-8 code points).
struct Position {
  int line = 1;
  int column = 1;
};

/// A JSON text with the place of every key and value. JSON pointers are RFC 6901 ("" is the whole
/// text,
/// "/ops/conv2d/rounding", "/layers/3").
struct Document {
  struct Places {
    Position key;    ///< of the member's name; equal to `value` where there is no name
    Position value;  ///< of the first character of the value
  };
  Json value;
  std::string name;  ///< the file as it is named to people
  std::map<std::string, Places, std::less<>> places;

  /// "NAME:LINE:COLUMN /pointer" of the value, or of its nearest ancestor that is in the text (a
  /// key that is missing is reported at the object that misses it). The pointer is printed as
  /// given.
  std::string place(std::string_view pointer) const;
  /// The same for the member's name: where an unknown key is reported.
  std::string key_place(std::string_view pointer) const;
};

/// `pointer` extended by a member name ("~" and "/" escaped) or an array index.
std::string child(std::string_view pointer, std::string_view key);
std::string child(std::string_view pointer, size_t index);

/// Parses untrusted text. Throws Error with every finding it can reach: bad_json (empty, NUL byte,
/// syntax, not UTF-8, number overflow such as 1e400, nesting deeper than max_depth, larger than
/// max_bytes), duplicate_key, bad_value (an integer outside int64: nlohmann would make it a double
/// without a word). A syntax error ends the reading, the others do not. A UTF-8 byte order mark is
/// accepted.
Document parse_json(std::string_view text, std::string name, const ReadOptions& options);

/// parse_json of a regular file. Error io if it cannot be read, is not a regular file or is larger
/// than max_bytes.
Document read_json(const std::filesystem::path& file, const ReadOptions& options);

}  // namespace facsim::backends::json
