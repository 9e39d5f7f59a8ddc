// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "backends/json/positioned_json-internal.h"

namespace facsim::backends::json {
namespace {

std::vector<ErrorInfo> errors_of(std::string_view text, ReadOptions options = {}) {
  try {
    parse_json(text, "f.json", options);
  } catch (const Error& e) {
    return e.infos();
  }
  return {};
}

TEST_CASE("positioned_json: every key and value has its line and column") {
  const Document d = parse_json(
      "\xef\xbb\xbf{ // comment: \"x\": {\n"
      "  \"a\\\"b\": [1, /* } */ -2.5e3 , {\"c\": \"é\", \"d\" : null}],\n"
      "  \"e/~\": true }",
      "f.json", {.comments = Comments::allowed});
  CHECK(d.value["a\"b"][1] == -2500.0);
  CHECK(d.place("") == "f.json:1:1");
  CHECK(d.key_place("/a\"b") == "f.json:2:3 /a\"b");
  CHECK(d.place("/a\"b") == "f.json:2:11 /a\"b");
  CHECK(d.place("/a\"b/0") == "f.json:2:12 /a\"b/0");
  CHECK(d.place("/a\"b/1") == "f.json:2:23 /a\"b/1");
  CHECK(d.place("/a\"b/2/c") == "f.json:2:38 /a\"b/2/c");
  CHECK(d.key_place("/a\"b/2/d") == "f.json:2:43 /a\"b/2/d");  // a two-byte é is one column
  CHECK(d.place("/e~1~0") == "f.json:3:10 /e~1~0");
  CHECK(d.place("/e~1~0/missing") == "f.json:3:10 /e~1~0/missing");
  CHECK(d.place("/missing") == "f.json:1:1 /missing");
}

TEST_CASE("positioned_json: all duplicate keys and oversized integers are reported at once") {
  const auto errors = errors_of(
      R"({"a": 1, "a": {"x": 1, "x": 2},
 "b": 18446744073709551616, "c": -9223372036854775809, "d": 9223372036854775808,
 "e": [1, {"f": 0, "f": 0}]})");
  REQUIRE(errors.size() == 6);
  CHECK(to_string(errors[0]) == "f.json:1:10 /a: duplicate key \"a\"; first at line 1");
  CHECK(errors[1].code == ErrorCode::duplicate_key);
  CHECK(errors[1].place == "f.json:1:24 /a/x");
  CHECK(errors[2].code == ErrorCode::bad_value);
  CHECK(errors[2].place == "f.json:2:7 /b");
  CHECK(errors[3].place == "f.json:2:34 /c");
  CHECK(errors[4].place == "f.json:2:61 /d");
  CHECK(errors[5].place == "f.json:3:20 /e/1/f");
}

TEST_CASE("positioned_json: the largest integers are kept exactly") {
  const Document d = parse_json("[9223372036854775807, -9223372036854775808, -0]", "f.json", {});
  CHECK(d.value[0].get<int64_t>() == INT64_MAX);
  CHECK(d.value[1].get<int64_t>() == INT64_MIN);
}

TEST_CASE("positioned_json: text that is not JSON is refused with its place") {
  struct Case {
    std::string_view text, place, found;
  };
  const std::string deep_ok = std::string(64, '[') + std::string(64, ']');
  const std::string deep = std::string(65, '[') + std::string(65, ']');
  const std::string very_deep(200000, '[');
  const Case cases[] = {
      {"", "f.json:1:1", "empty file"},
      {" \n ", "f.json:1:1", "empty file"},
      {"\xef\xbb\xbf", "f.json:1:1", "empty file"},
      {std::string_view("{\n\0}", 4), "f.json:2:1", "NUL byte at offset 2"},
      {"{\"bits\":8", "f.json:1:10", "syntax error"},
      {"{\"a\": 1,}", "f.json:1:9", "syntax error"},
      {"{\"a\": NaN}", "f.json:1:7", "syntax error"},
      {"{\"a\": 'x'}", "f.json:1:7", "syntax error"},
      {"{} x", "f.json:1:4", "syntax error"},
      {"// no\n{}", "f.json:1:1", "syntax error"},
      {"[1e400]", "f.json:1:6", "number overflow"},
      {"[\"\xff\"]", "f.json:1:3", "syntax error"},
      {deep, "f.json:1:65", "nesting deeper than 64"},
      {very_deep, "f.json:1:65", "nesting deeper than 64"},
  };
  CHECK(errors_of(deep_ok).empty());
  for (const Case& c : cases) {
    CAPTURE(c.text.substr(0, 40));
    const auto errors = errors_of(c.text);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].code == ErrorCode::bad_json);
    CHECK(errors[0].place == c.place);
    CHECK(errors[0].found.find(c.found) != std::string::npos);
  }
  CHECK(errors_of("[1, 2]", {.max_bytes = 5})[0].found == "larger than 5 bytes");
}

}  // namespace
}  // namespace facsim::backends::json
