// SPDX-License-Identifier: Apache-2.0
// Rules of the source tree that no compiler checks (CONTRIBUTING.md, "House rules").
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

struct SourceFile {
  std::string path;  // relative to the root, with '/'
  std::string text;
  std::vector<std::string> includes;  // as written, without quotes or brackets
};

const fs::path kRoot = FACSIM_SOURCE_DIR;

std::string slurp(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

bool ends_with(const std::string& text, const std::string& tail) {
  return text.size() >= tail.size() &&
         text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

const std::vector<SourceFile>& sources() {
  static const std::vector<SourceFile> files = [] {
    std::vector<SourceFile> out;
    const std::regex include(R"(^\s*#\s*include\s*["<]([^">]+)[">])");
    for (const char* folder : {"sim", "quant", "backends", "fused", "tools", "tests", "examples"}) {
      if (!fs::exists(kRoot / folder)) continue;
      for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
        const std::string name = entry.path().filename().string();
        if (!entry.is_regular_file() || !(ends_with(name, ".h") || ends_with(name, ".cc")))
          continue;
        SourceFile file{
            fs::relative(entry.path(), kRoot).generic_string(), slurp(entry.path()), {}};
        std::istringstream lines(file.text);
        for (std::string line; std::getline(lines, line);) {
          std::smatch match;
          if (std::regex_search(line, match, include)) file.includes.push_back(match[1]);
        }
        out.push_back(std::move(file));
      }
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return out;
  }();
  return files;
}

std::string top(const std::string& path) { return path.substr(0, path.find('/')); }
std::string second(const std::string& path) {
  const auto first = path.find('/');
  const auto next = path.find('/', first + 1);
  return next == std::string::npos ? "" : path.substr(first + 1, next - first - 1);
}
bool is_library(const std::string& path) {
  const std::string folder = top(path);
  return folder == "sim" || folder == "quant" || folder == "backends" || folder == "fused";
}
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

TEST_CASE("layers: includes go only downwards (sim <- quant <- backends <- fused <- tools)") {
  REQUIRE(sources().size() > 50);
  const std::map<std::string, int> rank{
      {"sim", 0}, {"quant", 1}, {"backends", 2}, {"fused", 3}, {"tools", 4}};
  for (const SourceFile& file : sources()) {
    const auto mine = rank.find(top(file.path));
    if (mine == rank.end()) continue;  // tests and examples include anything
    for (const std::string& include : file.includes) {
      const auto theirs = rank.find(top(include));
      if (theirs == rank.end()) continue;
      INFO(file.path, " includes ", include);
      CHECK(theirs->second <= mine->second);
    }
  }
}

TEST_CASE("layers: inside sim, core <- rounding, overflow <- requantize <- ops, kernels <- graph") {
  const std::map<std::string, int> rank{{"core", 0},       {"rounding", 1}, {"overflow", 1},
                                        {"requantize", 2}, {"ops", 3},      {"kernels", 3},
                                        {"graph", 4}};
  for (const SourceFile& file : sources()) {
    if (top(file.path) != "sim") continue;
    REQUIRE_MESSAGE(rank.count(second(file.path)) == 1, file.path);
    for (const std::string& include : file.includes) {
      if (top(include) != "sim") continue;
      INFO(file.path, " includes ", include);
      CHECK(rank.at(second(include)) <= rank.at(second(file.path)));
    }
  }
}

TEST_CASE("layers: third parties stay where they belong") {
  for (const SourceFile& file : sources()) {
    const std::string folder = top(file.path);
    if (folder == "tests" || folder == "examples") continue;
    const bool is_simd_file =
        file.text.find("foreach_target.h") != std::string::npos || ends_with(file.path, "-inl.h");
    const bool is_kernel = second(file.path) == "kernels";
    for (const std::string& include : file.includes) {
      INFO(file.path, " includes ", include);
      if (include.rfind("nlohmann/", 0) == 0) {
        CHECK((folder == "backends" || folder == "tools"));
        if (folder == "backends" && ends_with(file.path, ".h"))
          CHECK(ends_with(file.path, "-internal.h"));
      }
      if (include.rfind("Eigen/", 0) == 0) CHECK(folder == "fused");
      // These two only name targets: no vector code comes with them.
      const bool names_targets = include == "hwy/targets.h" || include == "hwy/detect_targets.h";
      if (include.rfind("hwy/", 0) == 0) CHECK((is_simd_file || (is_kernel && names_targets)));
      if (include.rfind("CLI/", 0) == 0) CHECK(folder == "tools");
    }
  }
}

TEST_CASE("files: licence line, include guard, own header first") {
  for (const SourceFile& file : sources()) {
    INFO(file.path);
    CHECK(first_line(file.text) == "// SPDX-License-Identifier: Apache-2.0");
    if (ends_with(file.path, ".h") && !ends_with(file.path, "-inl.h")) {
      CHECK(file.text.find("#pragma once") != std::string::npos);
      CHECK(file.text.find("using namespace") == std::string::npos);
    }
  }
}

TEST_CASE("library: never prints, exits or aborts") {
  const std::regex forbidden(
      R"(\b(std::cout|std::cerr|printf\s*\(|fprintf\s*\(|fmt::print|std::exit|exit\s*\(|abort\s*\(|puts\s*\())");
  for (const SourceFile& file : sources()) {
    if (!is_library(file.path)) continue;
    std::istringstream lines(file.text);
    int number = 0;
    for (std::string line; std::getline(lines, line);) {
      ++number;
      const auto comment = line.find("//");
      const std::string code = line.substr(0, comment);
      INFO(file.path, ":", number, ": ", line);
      CHECK_FALSE(std::regex_search(code, forbidden));
    }
  }
}

TEST_CASE("text: no work markers, no machine paths") {
  // Written in two halves so that this file does not find itself.
  const std::vector<std::string> markers{std::string("TO") + "DO", std::string("FIX") + "ME",
                                         std::string("/wor") + "k/", std::string("/ro") + "ot/"};
  for (const SourceFile& file : sources()) {
    for (const std::string& marker : markers) {
      INFO(file.path, " contains ", marker);
      CHECK(file.text.find(marker) == std::string::npos);
    }
  }
}

TEST_CASE("readme: each code folder says what it is") {
  for (const char* folder :
       {"sim", "quant", "backends", "fused", "configs", "tests", "tools", "examples"}) {
    INFO(folder);
    CHECK(fs::exists(kRoot / folder / "README.md"));
  }
}
