// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backends/profile/field-internal.h"

namespace facsim::backends::detail {

struct TextMember;

/// A JSON value as it is written, with its comments.
struct TextNode {
  enum class Kind { object, array, scalar };
  Kind kind = Kind::scalar;
  std::string scalar;   ///< the token, as written
  bool opened = false;  ///< a line break follows the bracket
  std::vector<TextMember> members;
  std::vector<std::string> last_comments;  ///< before the closing bracket

  /// The member of an object, or null. The key is compared as JSON, without its quotes.
  TextMember* member(std::string_view key);
};

/// A member of an object, or an element of an array (empty key).
struct TextMember {
  std::string key;  ///< with its quotes, as written
  TextNode value;
  bool blank_before = false;
  std::vector<std::string> comments;  ///< on the lines before
  std::string comment_behind;         ///< on the same line
};

/// A whole file.
struct ProfileText {
  std::vector<std::string> comments;  ///< before the root
  TextNode root;
  std::vector<std::string> last_comments;
};

/// Errors as json::parse_json.
ProfileText read_profile_text(std::string_view text, const std::string& name);
/// Sorts the members of every object that the format describes; see format_profile_text.
void sort_members(TextNode& node, const Field* field);
std::string write_profile_text(const ProfileText& text);

}  // namespace facsim::backends::detail
