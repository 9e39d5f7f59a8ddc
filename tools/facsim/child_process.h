// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace facsim::cli {

/// A program to run and wait for.
struct ChildProgram {
  std::vector<std::string> words;  ///< the program, found on PATH, and its arguments
  std::filesystem::path out, err;  ///< files for its output
  std::filesystem::path folder{};  ///< where it runs; empty: here
  double timeout_seconds = 0;      ///< 0: none
};

struct ChildEnd {
  int code = 0;  ///< exit code, or 128 + signal
  bool timed_out = false;
};

/// Runs a program in a process group of its own. Nothing if there is no such program. Ctrl-C,
/// SIGTERM and the timeout end the whole group; the first two then throw Interrupted. Error io.
std::optional<ChildEnd> run_child(ChildProgram program);

}  // namespace facsim::cli
