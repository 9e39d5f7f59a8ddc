// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "backends/io/npy.h"
#include "backends/profile/profile.h"
#include "sim/core/error.h"
#include "tests/backends/temporary_folder.h"

namespace facsim::backends {
namespace {

namespace fs = std::filesystem;

const fs::path kBad = fs::path(FACSIM_SOURCE_DIR) / "tests/profiles/bad";

std::vector<ErrorInfo> errors_of(const fs::path& file, const ProfileSearch& search) {
  try {
    load_profile(file.string(), search);
  } catch (const Error& e) {
    return e.infos();
  }
  return {};
}

std::string lines(const std::vector<ErrorInfo>& errors) {
  std::string text;
  for (const ErrorInfo& error : errors) text += to_string(error) + "\n";
  return text;
}

/// The texts of "// expects: TEXT" lines at the top of a file.
std::vector<std::string> expectations(const fs::path& file) {
  constexpr std::string_view kMark = "// expects: ";
  std::vector<std::string> texts;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line) && line.starts_with(kMark);) {
    texts.push_back(line.substr(kMark.size()));
  }
  return texts;
}

TEST_CASE("profile: every bad file is refused with the code that its name says") {
  const ProfileSearch search = ProfileSearch::standard();
  int files = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(kBad)) {
    const std::string stem = entry.path().stem().string();
    CAPTURE(stem);
    const std::vector<ErrorInfo> errors = errors_of(entry.path(), search);
    const std::string text = lines(errors);
    CAPTURE(text);
    REQUIRE(!errors.empty());
    for (const ErrorInfo& error : errors) {
      CHECK(to_string(error.code) == stem.substr(0, stem.find("__")));
      CHECK(error.place.find(".json:") != std::string::npos);  // file:line:column
    }
    for (const std::string& expected : expectations(entry.path())) {
      CAPTURE(expected);
      CHECK(text.find(expected) != std::string::npos);
    }
    CHECK(text.find('\x1b') == std::string::npos);
    ++files;
  }
  CHECK(files > 70);
}

TEST_CASE("profile: all findings of a file come at once, each with its place") {
  const TemporaryFolder folder;
  folder.write("many.json", R"({
  "schema_version": 2,
  "name": "other",
  "accumulator": {"bits": 7, "overflw": "wrap"},
  "requantize": {"rounding": "nearest"},
  "ops": {"conv2d": {"padding": {"value": 0}}}
})");
  const std::vector<ErrorInfo> errors = errors_of(folder / "many.json", ProfileSearch::standard());
  const std::string file = (folder / "many.json").string();
  REQUIRE(errors.size() == 6);
  CHECK(errors[0].place == file + ":2:21 /schema_version");
  CHECK(errors[1].place == file + ":3:11 /name");
  CHECK(errors[2].place == file + ":4:27 /accumulator/bits");
  CHECK(errors[3].place == file + ":4:30 /accumulator/overflw");
  CHECK(errors[3].hint == "did you mean \"overflow\"?");
  CHECK(errors[4].place == file + ":6:43 /ops/conv2d/padding/value");
  CHECK(errors[5].place == file + ":5:30 /requantize/rounding");
}

TEST_CASE("profile: what cannot be a committed file is refused too") {
  const TemporaryFolder folder;
  const ProfileSearch search = ProfileSearch::standard();
  const auto child_of = [](const std::string& name, const std::string& base) {
    return R"({"schema_version": 1, "name": ")" + name + R"(", "extends": ")" + base + "\"}";
  };
  const auto only_error = [&](const fs::path& file) {
    const std::vector<ErrorInfo> errors = errors_of(file, search);
    REQUIRE(errors.size() == 1);
    return errors[0];
  };

  SUBCASE("larger than 1 MiB") {
    folder.write("large.json", std::string((size_t{1} << 20) + 1, ' '));
    CHECK(only_error(folder / "large.json").code == ErrorCode::io);
  }
  SUBCASE("a folder") { CHECK(only_error(folder / "").code == ErrorCode::io); }
  SUBCASE("no such file") { CHECK(only_error(folder / "none.json").code == ErrorCode::io); }
  SUBCASE("a device") { CHECK(only_error("/dev/zero").code == ErrorCode::io); }
  SUBCASE("a symbolic link that leads out of the folder") {
    folder.write("outside.json", R"({"schema_version": 1, "name": "outside"})");
    fs::create_directory(folder / "inside");
    folder.write("inside/child.json", child_of("child", "link.json"));
    fs::create_symlink("../outside.json", folder / "inside/link.json");
    const ErrorInfo error = only_error(folder / "inside/child.json");
    CHECK(error.code == ErrorCode::bad_value);
    CHECK(error.found.find("leads outside") != std::string::npos);
  }
  SUBCASE("a linked folder that leads out of the folder") {
    fs::create_directory(folder / "elsewhere");
    folder.write("elsewhere/base.json", R"({"schema_version": 1, "name": "base"})");
    fs::create_directory(folder / "inside");
    folder.write("inside/child.json", child_of("child", "sub/base.json"));
    fs::create_directory_symlink("../elsewhere", folder / "inside/sub");
    CHECK(only_error(folder / "inside/child.json").found.find("leads outside") !=
          std::string::npos);
  }
  SUBCASE("a loop of symbolic links") {
    fs::create_symlink("b.json", folder / "a.json");
    fs::create_symlink("a.json", folder / "b.json");
    folder.write("child.json", child_of("child", "a.json"));
    CHECK(only_error(folder / "child.json").code == ErrorCode::bad_value);
  }
  SUBCASE("a chain deeper than 16") {
    for (int i = 0; i < 17; ++i) {
      const std::string name = "p" + std::to_string(i);
      folder.write(name + ".json", i == 16 ? R"({"schema_version": 1, "name": "p16"})"
                                           : child_of(name, "p" + std::to_string(i + 1)));
    }
    CHECK(errors_of(folder / "p1.json", search).empty());  // 16 files
    CHECK(only_error(folder / "p0.json").found == "extends chain deeper than 16");
  }
}

}  // namespace
}  // namespace facsim::backends
