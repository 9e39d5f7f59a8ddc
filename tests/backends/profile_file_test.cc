// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string>

#include "backends/profile/migrate-internal.h"
#include "backends/profile/profile_file.h"
#include "tests/backends/temporary_folder.h"

namespace facsim::backends {
namespace {

using detail::Json;

std::string formatted(const std::string& text) { return format_profile_text(text, "x.json"); }

ErrorCode format_error(const std::string& text) {
  try {
    formatted(text);
  } catch (const Error& error) {
    CHECK(error.infos().front().place.starts_with("x.json"));
    return error.code();
  }
  FAIL("no error");
  return ErrorCode::io;
}

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The comments of a text, sorted.
std::vector<std::string> comments_of(const std::string& text) {
  std::vector<std::string> all;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && in_string) {
      ++i;
    } else if (text[i] == '"') {
      in_string = !in_string;
    } else if (!in_string && text.compare(i, 2, "//") == 0) {
      const size_t end = std::min(text.find('\n', i), text.size());
      all.push_back(text.substr(i, end - i));
      i = end;
    }
  }
  std::sort(all.begin(), all.end());
  return all;
}

TEST_CASE("profile fmt: keys in the order of the fields, comments with their keys") {
  CHECK(formatted("{\"name\": \"a\", // its name\n"
                  "\n\n"
                  "// before the version\n"
                  "\"schema_version\":1,\n"
                  "\"x-own\": [ 1,2 ],\n"
                  "\"requantize\":{\"rounding\":\"floor\",\"domain\":\"shift\"},\n"
                  "/* two\n   lines */ \"ops\": {\"add\": {}, \"conv2d\" : {} }\n"
                  "// the end\n"
                  "}") ==
        "{\n"
        "  // before the version\n"
        "  \"schema_version\": 1,\n"
        "  \"name\": \"a\",  // its name\n"
        "  \"requantize\": {\"domain\": \"shift\", \"rounding\": \"floor\"},\n"
        "  /* two\n   lines */\n"
        "  \"ops\": {\"conv2d\": {}, \"add\": {}},\n"
        "  \"x-own\": [1, 2]\n"
        "  // the end\n"
        "}\n");
}

TEST_CASE("profile fmt: a line break behind the brace keeps an object open") {
  CHECK(formatted("{\"ops\": {\n\"add\": {}}}") == "{\n  \"ops\": {\n    \"add\": {}\n  }\n}\n");
  CHECK(formatted("{\"ops\": {\"add\": {\n}}}") == "{\"ops\": {\"add\": {}}}\n");
}

TEST_CASE("profile fmt: what passes column 100 is wrapped behind its brace") {
  const std::string text = formatted(
      "{\n\"evidence\": {\"level\": \"assumed\", \"sources\": [\"a source of forty characters, or "
      "nearly so\", \"another source\"]}}");
  CHECK(text ==
        "{\n"
        "  \"evidence\": {\"level\": \"assumed\",\n"
        "               \"sources\": [\"a source of forty characters, or nearly so\", \"another "
        "source\"]}\n"
        "}\n");
  CHECK(formatted(text) == text);
}

TEST_CASE("profile fmt: numbers, escapes and order of lists stay as written") {
  CHECK(formatted("{\"title\": \"a\\u0062 // no comment\", \"tolerance_lsb\": 1e0, "
                  "\"fusion\": [\"B\", \"A\"]}") ==
        "{\"title\": \"a\\u0062 // no comment\", \"tolerance_lsb\": 1e0, \"fusion\": [\"B\", "
        "\"A\"]}\n");
}

TEST_CASE("profile fmt: blank lines, comments in odd places, carriage returns, a mark") {
  const std::string odd =
      "\xef\xbb\xbf// first\r\n{ // behind the brace\r\n\"name\" /* a */ : /* b */ \"x\" /* c */, "
      "// "
      "d\r\n\r\n\r\n\"title\": \"t\" // e\r\n// f\r\n, \"ops\": { /* g */ }\r\n}\r\n// last\r\n";
  const std::string once = formatted(odd);
  CHECK(formatted(once) == once);
  for (const char* part : {"// first\n", "// behind the brace\n", "/* a */", "/* b */", "/* c */",
                           "// d\n", "// e", "// f\n", "/* g */", "// last\n"}) {
    CAPTURE(part);
    CHECK(once.find(part) != std::string::npos);
  }
  CHECK(once.find('\r') == std::string::npos);
  CHECK(once.find("\n\n\n") == std::string::npos);
}

TEST_CASE("profile fmt: every shipped profile keeps its meaning and comments, and is stable") {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(FACSIM_SOURCE_DIR "/configs/profiles")) {
    const std::string text = read(entry.path());
    const std::string name = entry.path().filename().string();
    CAPTURE(name);
    const std::string once = format_profile_text(text, name);
    CHECK(format_profile_text(once, name) == once);
    CHECK(Json::parse(once, nullptr, true, true) == Json::parse(text, nullptr, true, true));
    CHECK(comments_of(once) == comments_of(text));
    ++files;
  }
  CHECK(files >= 71);
}

TEST_CASE("profile fmt: a text that is no JSON is refused with its place") {
  CHECK(format_error("") == ErrorCode::bad_json);
  CHECK(format_error("{\"a\": }") == ErrorCode::bad_json);
  CHECK(format_error("{\"a\": 1, \"a\": 2}") == ErrorCode::duplicate_key);
  CHECK(format_error("{\"a\": 1} // open /*\n {") == ErrorCode::bad_json);
  CHECK(format_error(std::string(100, '[') + std::string(100, ']')) == ErrorCode::bad_json);
}

TEST_CASE("profile fmt: texts cut at any byte are refused or formatted, never a crash") {
  const std::string text = read(FACSIM_SOURCE_DIR "/configs/profiles/ethos-u.json");
  int refused = 0;
  for (size_t n = 0; n < text.size(); ++n) {
    try {
      formatted(text.substr(0, n));
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused >= static_cast<int>(text.size()) - 2);
}

TEST_CASE("profile init: the new profile computes as its base, and is in order") {
  const TemporaryFolder folder;
  const ProfileSearch search = ProfileSearch::standard();
  for (const std::string& base : list_profiles(search)) {
    CAPTURE(base);
    const std::filesystem::path file = folder / "new-chip.json";
    const std::string text = new_profile_text({"new-chip", base, file}, search);
    write(file, text);
    CHECK(load_profile(file.string(), search).fingerprint ==
          load_profile(base, search).fingerprint);
    CHECK(format_profile_text(text, "new-chip.json") == text);
    const auto findings = lint_profile(file.string(), search);
    const bool no_errors =
        std::none_of(findings.begin(), findings.end(), [](const auto& f) { return f.is_error; });
    CHECK(no_errors);
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = text.find('\n', begin);
      CHECK(end - begin <= 100);
      begin = end + 1;
    }
  }
}

TEST_CASE("profile init: names, places and bases that cannot be") {
  const TemporaryFolder folder;
  const ProfileSearch search = ProfileSearch::standard();
  const auto error = [&](const NewProfile& request) {
    try {
      new_profile_text(request, search);
    } catch (const Error& e) {
      return std::pair{e.code(), std::string(e.what())};
    }
    return std::pair{ErrorCode::bad_json, std::string("no error")};
  };
  const auto file = [&](const char* name) { return folder / name; };
  CHECK(error({"My Chip", "ruy", file("My Chip.json")}).first == ErrorCode::bad_value);
  CHECK(error({"", "ruy", file(".json")}).first == ErrorCode::bad_value);
  CHECK(error({"chip", "ruy", file("other.json")}).second.find("a file named chip.json") !=
        std::string::npos);
  CHECK(error({"ruy", "ruy", file("ruy.json")}).first == ErrorCode::bad_value);
  CHECK(error({"chip", "ruuy", file("chip.json")}).second.find("did you mean \"ruy\"") !=
        std::string::npos);
  const std::string outside = FACSIM_SOURCE_DIR "/configs/profiles/ruy.json";
  CHECK(error({"chip", outside, file("chip.json")}).second.find("is outside") != std::string::npos);
  std::filesystem::copy_file(outside, file("ruy.json"));
  CHECK(new_profile_text({"chip", file("ruy.json").string(), file("chip.json")}, search)
            .find("\"extends\": \"ruy.json\"") != std::string::npos);
}

/// A version 2 that renamed "rounding" of requantize.
void rename_rounding(detail::TextNode& root) {
  if (detail::TextMember* requantize = root.member("requantize")) {
    if (detail::TextMember* rounding = requantize->value.member("rounding")) {
      rounding->key = "\"round\"";
    }
  }
}

TEST_CASE("profile migrate: steps run in order, comments stay, newer files are refused") {
  const std::array steps{
      detail::Migration{1, "requantize.rounding became requantize.round", rename_rounding},
      detail::Migration{2, "nothing in files of this kind", [](detail::TextNode&) {}}};
  const std::string old =
      "{\n  \"schema_version\": 1,  // first\n  \"requantize\": {\"rounding\": \"floor\"}\n}\n";
  const MigratedProfile all = detail::migrate_text(old, "x.json", steps, 3);
  CHECK(all.text ==
        "{\n  \"schema_version\": 3,  // first\n  \"requantize\": {\"round\": \"floor\"}\n}\n");
  CHECK(all.changes.size() == 2);
  CHECK(all.changed());
  const std::string two = "{ \"schema_version\": 2 }";
  const MigratedProfile one = detail::migrate_text(two, "x.json", steps, 3);
  CHECK(one.from == 2);
  CHECK(one.changes == std::vector<std::string>{"nothing in files of this kind"});

  const auto error = [&](const std::string& text) {
    try {
      detail::migrate_text(text, "x.json", steps, 3);
    } catch (const Error& e) {
      return e.code();
    }
    return ErrorCode::bad_json;
  };
  CHECK(error("{\"schema_version\": 4}") == ErrorCode::unsupported);
  CHECK(error("{\"schema_version\": 0}") == ErrorCode::bad_value);
  CHECK(error("{\"schema_version\": \"1\"}") == ErrorCode::bad_value);
  CHECK(error("{\"schema_version\": 99999999999}") == ErrorCode::bad_value);
  CHECK(error("{}") == ErrorCode::missing_key);
  CHECK(error("[]") == ErrorCode::bad_value);
}

TEST_CASE("profile migrate: a file of today's version is left as it is") {
  const TemporaryFolder folder;
  const std::string text = "{ \"schema_version\":1 }";
  write(folder / "x.json", text);
  const MigratedProfile same = migrate_profile(folder / "x.json");
  CHECK_FALSE(same.changed());
  CHECK(same.text == text);
  CHECK(detail::migrations().empty());
}

}  // namespace
}  // namespace facsim::backends
