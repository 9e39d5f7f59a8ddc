// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/profile_text-internal.h"

#include <algorithm>
#include <utility>

namespace facsim::backends::detail {

namespace {

constexpr size_t kLineColumns = 100;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// Characters of UTF-8 text.
size_t characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

/// Reads a text that json::parse_json has accepted: nothing here looks for errors.
class TextReader {
 public:
  explicit TextReader(std::string_view text) : text_(text) {
    if (text_.starts_with(kByteOrderMark)) offset_ = kByteOrderMark.size();
  }

  ProfileText read() {
    ProfileText out;
    out.comments = take_comments().texts;
    out.root = value();
    out.last_comments = take_comments().texts;
    return out;
  }

 private:
  /// What stands between two tokens.
  struct Gap {
    std::vector<std::string> texts;
    int line_breaks = 0;        ///< before the first comment, or all of them
    bool blank_before = false;  ///< an empty line before the first comment, or before the token
  };

  char peek(size_t ahead = 0) const {
    return offset_ + ahead < text_.size() ? text_[offset_ + ahead] : '\0';
  }

  static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

  std::string take_comment() {
    const bool block = peek(1) == '*';
    const size_t from = block ? text_.find("*/", offset_ + 2) : text_.find('\n', offset_);
    const size_t end =
        std::min(block && from != std::string_view::npos ? from + 2 : from, text_.size());
    std::string_view raw = text_.substr(offset_, end - offset_);
    offset_ = end;
    std::string out;  // without blanks at the ends of lines
    while (true) {
      const size_t line_end = std::min(raw.find('\n'), raw.size());
      std::string_view line = raw.substr(0, line_end);
      while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
      out += line;
      if (line_end == raw.size()) return out;
      out += '\n';
      raw.remove_prefix(line_end + 1);
    }
  }

  bool at_comment() const { return peek() == '/' && (peek(1) == '/' || peek(1) == '*'); }

  Gap take_comments() {
    Gap gap;
    int breaks = 0;
    while (offset_ < text_.size()) {
      if (is_blank(peek())) {
        ++offset_;
      } else if (peek() == '\n') {
        ++offset_;
        ++breaks;
      } else if (at_comment()) {
        if (gap.texts.empty()) gap.line_breaks = breaks;
        if (gap.texts.empty() && breaks > 1) gap.blank_before = true;
        gap.texts.push_back(take_comment());
        breaks = 0;
      } else {
        break;
      }
    }
    if (gap.texts.empty()) {
      gap.line_breaks = breaks;
      gap.blank_before = breaks > 1;
    }
    return gap;
  }

  /// Comments up to the end of the line, if nothing but comments and blanks is left on it.
  std::string comment_behind() {
    const size_t start = offset_;
    std::string out;
    while (offset_ < text_.size() && peek() != '\n') {
      if (is_blank(peek())) {
        ++offset_;
      } else if (at_comment()) {
        const std::string comment = take_comment();
        if (comment.find('\n') != std::string::npos) break;  // belongs to lines of its own
        out += (out.empty() ? "" : " ") + comment;
        if (peek() == '\n' || offset_ == text_.size()) return out;
      } else {
        break;
      }
    }
    if (peek() == '\n' && !out.empty()) return out;
    offset_ = start;
    return "";
  }

  std::string scalar() {
    const size_t start = offset_;
    if (peek() == '"') {
      ++offset_;
      while (peek() != '"') offset_ += peek() == '\\' ? 2 : 1;
      ++offset_;
    } else {
      offset_ = std::min(text_.find_first_of(" \t\r\n,:]}/", offset_), text_.size());
    }
    return std::string(text_.substr(start, offset_ - start));
  }

  TextNode value() {
    TextNode node;
    if (peek() != '{' && peek() != '[') {
      node.scalar = scalar();
      return node;
    }
    const bool is_object = peek() == '{';
    node.kind = is_object ? TextNode::Kind::object : TextNode::Kind::array;
    ++offset_;
    for (bool first = true;; first = false) {
      Gap gap = take_comments();
      if (first) node.opened = gap.line_breaks > 0 || !gap.texts.empty();
      if (peek() == '}' || peek() == ']') {
        ++offset_;
        node.last_comments = std::move(gap.texts);
        if (node.members.empty()) node.opened = false;
        return node;
      }
      TextMember member;
      member.blank_before = !first && gap.blank_before;
      member.comments = std::move(gap.texts);
      const auto add_comments = [&](Gap more) {
        std::move(more.texts.begin(), more.texts.end(), std::back_inserter(member.comments));
      };
      if (is_object) {
        member.key = scalar();
        add_comments(take_comments());
        ++offset_;  // the colon
        add_comments(take_comments());
      }
      member.value = value();
      // A comment between a value and its comma stands behind the value.
      const std::string before_comma = comment_behind();
      const size_t start = offset_;
      Gap rest = take_comments();
      if (peek() == ',') {
        ++offset_;
        add_comments(std::move(rest));
      } else {
        offset_ = start;  // the last member: what follows belongs to the end of the object
      }
      const std::string after_comma = comment_behind();
      member.comment_behind = before_comma;
      if (!before_comma.empty() && !after_comma.empty()) member.comment_behind += ' ';
      member.comment_behind += after_comma;
      // Behind a line comment only another comment can follow: keep each on a line of its own.
      if (before_comma.starts_with("//") && !after_comma.empty()) {
        member.comments.push_back(before_comma);
        member.comment_behind = after_comma;
      }
      node.members.push_back(std::move(member));
    }
  }

  std::string_view text_;
  size_t offset_ = 0;
};

/// True if the value cannot stand on one line.
bool must_break(const TextNode& node) {
  if (node.opened || !node.last_comments.empty()) return true;
  return std::any_of(node.members.begin(), node.members.end(), [](const TextMember& member) {
    return !member.comments.empty() || !member.comment_behind.empty() || must_break(member.value);
  });
}

class TextWriter {
 public:
  std::string write(const ProfileText& text) {
    add_comments(text.comments, 0);
    add_value(text.root, 0, 0);
    out_ += '\n';
    add_comments(text.last_comments, 0);
    return std::move(out_);
  }

 private:
  void add_comments(const std::vector<std::string>& comments, size_t indent) {
    for (const std::string& comment : comments) {
      out_ += std::string(indent, ' ') + comment + '\n';
    }
  }

  size_t column() const {
    const size_t line = out_.rfind('\n');
    return characters(std::string_view(out_).substr(line == std::string::npos ? 0 : line + 1));
  }

  static std::string prefix(const TextMember& member) {
    return member.key.empty() ? "" : member.key + ": ";
  }

  static std::string on_one_line(const TextNode& node) {
    if (node.kind == TextNode::Kind::scalar) return node.scalar;
    const bool is_object = node.kind == TextNode::Kind::object;
    std::string line = is_object ? "{" : "[";
    for (size_t i = 0; i < node.members.size(); ++i) {
      if (i > 0) line += ", ";
      line += prefix(node.members[i]) + on_one_line(node.members[i].value);
    }
    return line + (is_object ? "}" : "]");
  }

  /// `behind`: characters that must follow on the same line (closing brackets and a comma).
  void add_value(const TextNode& node, size_t indent, size_t behind) {
    if (node.kind == TextNode::Kind::scalar) {
      out_ += node.scalar;
      return;
    }
    const bool is_object = node.kind == TextNode::Kind::object;
    if (must_break(node)) {
      out_ += is_object ? "{\n" : "[\n";
      for (size_t i = 0; i < node.members.size(); ++i) {
        const TextMember& member = node.members[i];
        const bool last = i + 1 == node.members.size();
        if (i > 0 && member.blank_before) out_ += '\n';
        add_comments(member.comments, indent + 2);
        out_ += std::string(indent + 2, ' ') + prefix(member);
        add_value(member.value, indent + 2, last ? 0 : 1);
        if (!last) out_ += ',';
        if (!member.comment_behind.empty()) out_ += "  " + member.comment_behind;
        out_ += '\n';
      }
      add_comments(node.last_comments, indent + 2);
      out_ += std::string(indent, ' ') + (is_object ? "}" : "]");
      return;
    }
    const std::string line = on_one_line(node);
    if (column() + characters(line) + behind <= kLineColumns) {
      out_ += line;
      return;
    }
    // As many members a line as fit, below the first.
    out_ += is_object ? '{' : '[';
    const size_t aligned = column();
    for (size_t i = 0; i < node.members.size(); ++i) {
      const TextMember& member = node.members[i];
      const size_t after = i + 1 == node.members.size() ? behind + 1 : 1;
      if (i > 0) {
        const std::string one = prefix(member) + on_one_line(member.value);
        const bool fits = column() + 1 + characters(one) + after <= kLineColumns;
        out_ += fits ? " " : "\n" + std::string(aligned, ' ');
      }
      out_ += prefix(member);
      add_value(member.value, indent, after);
      if (i + 1 < node.members.size()) out_ += ',';
    }
    out_ += is_object ? '}' : ']';
  }

  std::string out_;
};

/// Where a key stands among the format's; behind all of them if it is none.
size_t rank(const Field& field, const std::string& quoted_key) {
  const Json key = Json::parse(quoted_key);
  for (size_t i = 0; i < field.members.size(); ++i) {
    if (key == field.members[i].key) return i;
  }
  return field.members.size();
}

/// The alternative of a one_of that holds members or elements.
const Field* structured(const Field* field, TextNode::Kind kind) {
  if (field == nullptr || field->kind != FieldKind::one_of) return field;
  for (const Field& alternative : field->members) {
    const bool is_list = alternative.kind == FieldKind::list;
    const bool is_object =
        alternative.kind == FieldKind::object || alternative.kind == FieldKind::map;
    if (kind == TextNode::Kind::array ? is_list : is_object) return &alternative;
  }
  return nullptr;
}

}  // namespace

TextMember* TextNode::member(std::string_view key) {
  for (TextMember& candidate : members) {
    if (!candidate.key.empty() && Json::parse(candidate.key) == key) return &candidate;
  }
  return nullptr;
}

ProfileText read_profile_text(std::string_view text, const std::string& name) {
  json::parse_json(
      text, name,
      {.max_bytes = uint64_t{1} << 20, .max_depth = 64, .comments = json::Comments::allowed});
  return TextReader(text).read();
}

void sort_members(TextNode& node, const Field* field) {
  field = structured(field, node.kind);
  if (field != nullptr && field->kind == FieldKind::object && node.kind == TextNode::Kind::object) {
    std::stable_sort(node.members.begin(), node.members.end(),
                     [&](const TextMember& a, const TextMember& b) {
                       return rank(*field, a.key) < rank(*field, b.key);
                     });
  }
  for (TextMember& member : node.members) {
    const Field* of_member = nullptr;
    if (field != nullptr && field->kind == FieldKind::object && !member.key.empty()) {
      of_member = field->member(Json::parse(member.key).get<std::string>());
    } else if (field != nullptr &&
               (field->kind == FieldKind::map || field->kind == FieldKind::list)) {
      of_member = &field->members.front();
    }
    sort_members(member.value, of_member);
  }
}

std::string write_profile_text(const ProfileText& text) { return TextWriter().write(text); }

}  // namespace facsim::backends::detail
