// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/output_path.h"

#include <fmt/format.h>

#include "tools/facsim/command.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

bool is_same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::error_code absent;
  return std::filesystem::equivalent(a, b, absent) && !absent;
}

}  // namespace

void require_not_an_input(const std::filesystem::path& output,
                          std::initializer_list<std::filesystem::path> inputs) {
  for (const std::filesystem::path& input : inputs) {
    if (is_same_file(output, input)) {
      throw UsageError(fmt::format("{} is read by this command: write to another file",
                                   printable(output.string())));
    }
    if (input.extension() != ".json") continue;
    if (is_same_file(output, std::filesystem::path(input).replace_extension(".npz"))) {
      throw UsageError(fmt::format("{} holds the constants of {}: write to another file",
                                   printable(output.string()), printable(input.string())));
    }
  }
}

}  // namespace facsim::cli
