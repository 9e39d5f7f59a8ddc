// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "backends/io/npy_codec-internal.h"

namespace facsim::backends::detail {

namespace {

constexpr int64_t kMaxNpyExtent = int64_t{1} << 40;  // Shape's own bound

/// Reads the few Python literals a .npy header may hold.
class Scanner {
 public:
  Scanner(std::string_view text, std::string_view place, uint64_t offset)
      : text_(text), place_(place), offset_(offset) {}

  NpyHeader header() {
    NpyHeader header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr") {
        once(descr, key);
        header.descr = type_string();
      } else if (key == "fortran_order") {
        once(order, key);
        header.fortran_order = boolean();
      } else if (key == "shape") {
        once(shape, key);
        header.shape = tuple();
      } else {
        fail("key '" + key + "' in the header", "descr, fortran_order and shape");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) fail("text after the header's closing brace");
    if (!descr) fail("header without descr");
    if (!order) fail("header without fortran_order");
    if (!shape) fail("header without shape");
    return header;
  }

 private:
  [[noreturn]] void fail(std::string found, std::string expected = "") const {
    throw Error({ErrorCode::bad_value, std::string(place_) + "@" + std::to_string(offset_ + at_),
                 std::move(found), std::move(expected), ""});
  }

  void once(bool& seen, const std::string& key) const {
    if (seen) fail("key '" + key + "' twice");
    seen = true;
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!accept(c)) fail(what_is_here(), std::string("'") + c + "'");
  }

  std::string what_is_here() const {
    return at_ == text_.size() ? "end of the header" : std::string("'") + text_[at_] + "'";
  }

  std::string string() {
    skip_space();
    if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) {
      fail(what_is_here(), "a quoted string");
    }
    const char quote = text_[at_++];
    std::string value;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\' || text_[at_] == '\n') fail("escape or line end in a string");
      value += text_[at_++];
    }
    if (at_ == text_.size()) fail("string without closing quote");
    ++at_;
    return value;
  }

  std::string type_string() {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '[') {
      throw Error({ErrorCode::unsupported, std::string(place_), "structured dtype",
                   "a plain number type", ""});
    }
    return string();
  }

  bool boolean() {
    skip_space();
    for (const auto& [word, value] :
         {std::pair{std::string_view("True"), true}, {"False", false}}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    fail(what_is_here(), "True or False");
  }

  int64_t extent() {
    skip_space();
    const size_t begin = at_;
    int64_t value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      value = value * 10 + (text_[at_++] - '0');
      if (value > kMaxNpyExtent) {
        at_ = begin;
        fail("shape: extent too large", "at most 2^40");
      }
    }
    if (at_ == begin) fail("shape: " + what_is_here(), "a non-negative integer");
    return value;
  }

  Shape tuple() {
    std::vector<int64_t> extents;
    expect('(');
    while (!accept(')')) {
      if (extents.size() == static_cast<size_t>(kMaxRank)) {
        fail("shape: rank above " + std::to_string(kMaxRank));
      }
      extents.push_back(extent());
      if (accept(',')) continue;
      if (extents.size() == 1 && accept(')'))
        fail("shape: one integer without a comma is no tuple", "(N,)");
      expect(')');
      break;
    }
    return Shape(std::move(extents));
  }

  std::string_view text_;
  std::string_view place_;
  uint64_t offset_;
  size_t at_ = 0;
};

}  // namespace

NpyHeader parse_npy_header(std::string_view text, std::string_view place, uint64_t offset) {
  return Scanner(text, place, offset).header();
}

}  // namespace facsim::backends::detail
