// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <utility>

#include "backends/io/npy.h"
#include "backends/json/positioned_json-internal.h"

namespace facsim::backends::json {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

bool is_continuation_byte(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// Finds the token that belongs to each parse event. The parser has already accepted everything up
/// to and including that token, so a plain scan suffices: skip blanks, separators, closing brackets
/// and comments, then step over one string, bracket, number or word.
class TokenCursor {
 public:
  explicit TokenCursor(std::string_view text) : text_(text) {
    if (text_.starts_with(kByteOrderMark)) offset_ = line_begin_ = kByteOrderMark.size();
  }

  /// The position of the next token; the cursor moves behind it.
  Position next() {
    skip_between_tokens();
    const Position position = here();
    step_over_token();
    return position;
  }

  /// The position of a byte at or behind the cursor.
  Position at(size_t offset) const {
    TokenCursor probe = *this;
    probe.advance_to(std::min(offset, text_.size()));
    return probe.here();
  }

 private:
  char peek(size_t ahead = 0) const {
    return offset_ + ahead < text_.size() ? text_[offset_ + ahead] : '\0';
  }

  void advance_to(size_t offset) {
    for (; offset_ < offset; ++offset_) {
      if (text_[offset_] == '\n') {
        ++line_;
        line_begin_ = offset_ + 1;
      }
    }
  }

  Position here() const {
    const std::string_view before = text_.substr(line_begin_, offset_ - line_begin_);
    const auto characters =
        before.size() -
        static_cast<size_t>(std::count_if(before.begin(), before.end(), is_continuation_byte));
    return {line_, static_cast<int>(characters) + 1};
  }

  void skip_between_tokens() {
    while (offset_ < text_.size()) {
      if (peek() == '/' && peek(1) == '/') {
        advance_to(std::min(text_.find('\n', offset_), text_.size()));
      } else if (peek() == '/' && peek(1) == '*') {
        const size_t end = text_.find("*/", offset_ + 2);
        advance_to(end == std::string_view::npos ? text_.size() : end + 2);
      } else if (std::string_view(" \t\r\n,:]}").find(peek()) != std::string_view::npos) {
        advance_to(offset_ + 1);
      } else {
        return;
      }
    }
  }

  void step_over_token() {
    if (peek() == '"') {
      size_t end = offset_ + 1;
      while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
      advance_to(std::min(end + 1, text_.size()));
    } else if (peek() == '{' || peek() == '[') {
      advance_to(offset_ + 1);
    } else {
      const size_t end = text_.find_first_of(" \t\r\n,:]}/", offset_);
      advance_to(std::min(end, text_.size()));
    }
  }

  std::string_view text_;
  size_t offset_ = 0;
  size_t line_begin_ = 0;
  int line_ = 1;
};

std::string format_place(const std::string& name, Position position, std::string_view pointer) {
  std::string out =
      name + ":" + std::to_string(position.line) + ":" + std::to_string(position.column);
  if (!pointer.empty()) out += " " + std::string(pointer);
  return out;
}

/// Builds the value and the table of places from the parser's events. Returning false stops it.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view text, Document& document, const ReadOptions& options)
      : document_(document), options_(options), cursor_(text) {}

  std::vector<ErrorInfo> errors;

  bool null() override { return add(nullptr); }
  bool boolean(bool v) override { return add(v); }
  bool number_integer(number_integer_t v) override { return add(v); }
  bool number_unsigned(number_unsigned_t v) override {
    if (v > static_cast<number_unsigned_t>(INT64_MAX)) return refuse_integer(std::to_string(v));
    return add(static_cast<number_integer_t>(v));
  }
  bool number_float(number_float_t v, const string_t& token) override {
    if (token.find_first_of(".eE") == string_t::npos) return refuse_integer(token);
    return add(v);
  }
  bool string(string_t& v) override { return add(std::move(v)); }
  bool binary(binary_t&) override { return false; }  // no such thing in text

  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    key_position_ = cursor_.next();
    Level& level = levels_.back();
    level.key = name;
    level.key_is_new = level.keys.insert(name).second;
    if (!level.key_is_new) {
      const std::string pointer = child(level.pointer, name);
      errors.push_back({ErrorCode::duplicate_key,
                        format_place(document_.name, key_position_, pointer),
                        "duplicate key \"" + name + "\"", "",
                        "first at line " + std::to_string(document_.places[pointer].key.line)});
    }
    return true;
  }

  bool parse_error(size_t position, const std::string&, const Json::exception& e) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: WHAT": keep WHAT.
    std::string what = e.what();
    if (const size_t colon = what.find(": "); colon != std::string::npos) {
      what.erase(0, colon + 2);
    } else if (const size_t bracket = what.find("] "); bracket != std::string::npos) {
      what.erase(0, bracket + 2);
    }
    const Position at = cursor_.at(position == 0 ? 0 : position - 1);
    errors.push_back({ErrorCode::bad_json, format_place(document_.name, at, ""), what, "", ""});
    return false;
  }

 private:
  struct Level {
    Json* container;
    std::string pointer;
    std::set<std::string> keys;
    std::string key;
    bool key_is_new = true;
    size_t next_index = 0;
  };

  /// Pointer of the value that is about to be added.
  std::string next_pointer() const {
    if (levels_.empty()) return "";
    const Level& level = levels_.back();
    return level.container->is_object() ? child(level.pointer, level.key)
                                        : child(level.pointer, level.next_index);
  }

  Json* place_value(Json value) {
    const Position position = cursor_.next();
    const std::string pointer = next_pointer();
    if (levels_.empty()) {
      document_.places[pointer] = {position, position};
      document_.value = std::move(value);
      return &document_.value;
    }
    Level& level = levels_.back();
    if (level.container->is_array()) {
      ++level.next_index;
      document_.places[pointer] = {position, position};
      level.container->push_back(std::move(value));
      return &level.container->back();
    }
    if (!level.key_is_new) {  // already reported; the first stays
      spare_.push_back(std::make_unique<Json>(std::move(value)));
      return spare_.back().get();
    }
    document_.places[pointer] = {key_position_, position};
    return &((*level.container)[level.key] = std::move(value));
  }

  template <class T>
  bool add(T value) {
    place_value(Json(std::move(value)));
    return true;
  }

  bool open(Json empty) {
    const std::string pointer = next_pointer();
    Json* container = place_value(std::move(empty));
    levels_.push_back({container, pointer, {}, {}, true, 0});
    if (static_cast<int>(levels_.size()) > options_.max_depth) {
      errors.push_back({ErrorCode::bad_json,
                        format_place(document_.name, document_.places[pointer].value, ""),
                        "nesting deeper than " + std::to_string(options_.max_depth), "", ""});
      return false;
    }
    return true;
  }

  bool close() {
    levels_.pop_back();
    return true;
  }

  bool refuse_integer(const std::string& token) {
    const std::string pointer = next_pointer();
    place_value(Json(0));
    errors.push_back({ErrorCode::bad_value,
                      format_place(document_.name, document_.places[pointer].value, pointer),
                      "integer " + (token.size() > 40 ? token.substr(0, 40) + "…" : token) +
                          " does not fit 64 bits",
                      "an integer in -2^63..2^63-1", ""});
    return true;
  }

  Document& document_;
  const ReadOptions& options_;
  TokenCursor cursor_;
  Position key_position_;
  std::vector<Level> levels_;
  std::vector<std::unique_ptr<Json>> spare_;  // values of duplicate keys, read only to be checked
};

/// The nearest pointer that is in the table: itself or an ancestor.
const Document::Places* nearest(const Document& document, std::string_view pointer) {
  while (true) {
    if (const auto it = document.places.find(pointer); it != document.places.end()) {
      return &it->second;
    }
    const size_t slash = pointer.rfind('/');
    if (slash == std::string_view::npos) return nullptr;
    pointer = pointer.substr(0, slash);
  }
}

}  // namespace

std::string Document::place(std::string_view pointer) const {
  const Places* places_of = nearest(*this, pointer);
  return format_place(name, places_of == nullptr ? Position{} : places_of->value, pointer);
}

std::string Document::key_place(std::string_view pointer) const {
  const Places* places_of = nearest(*this, pointer);
  return format_place(name, places_of == nullptr ? Position{} : places_of->key, pointer);
}

std::string child(std::string_view pointer, std::string_view key) {
  std::string out(pointer);
  out += '/';
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

std::string child(std::string_view pointer, size_t index) {
  return std::string(pointer) + "/" + std::to_string(index);
}

Document parse_json(std::string_view text, std::string name, const ReadOptions& options) {
  Document document;
  document.name = std::move(name);
  if (text.size() > options.max_bytes) {
    throw Error({ErrorCode::bad_json, document.name,
                 "larger than " + std::to_string(options.max_bytes) + " bytes", "", ""});
  }
  // nlohmann takes a NUL byte for the end of the text and reports success.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    const Position at = TokenCursor(text).at(nul);
    throw Error({ErrorCode::bad_json, format_place(document.name, at, ""),
                 "NUL byte at offset " + std::to_string(nul), "a text file", ""});
  }
  std::string_view content = text;
  if (content.starts_with(kByteOrderMark)) content.remove_prefix(kByteOrderMark.size());
  if (content.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    throw Error({ErrorCode::bad_json, document.name + ":1:1", "empty file", "a JSON text", ""});
  }

  Builder builder(text, document, options);
  Json::sax_parse(text, &builder, Json::input_format_t::json, /*strict=*/true,
                  /*ignore_comments=*/options.comments == Comments::allowed);
  if (!builder.errors.empty()) throw Error(std::move(builder.errors));
  return document;
}

Document read_json(const std::filesystem::path& file, const ReadOptions& options) {
  return parse_json(read_file(file, options.max_bytes), file.string(), options);
}

}  // namespace facsim::backends::json
