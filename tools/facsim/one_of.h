// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "backends/text/did_you_mean.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

/// An option value that must be one of `words`; the error names them and the nearest.
inline CLI::Validator one_of(std::vector<std::string> words) {
  const std::string list = fmt::format("{}", fmt::join(words, ", "));
  return CLI::Validator(
      [words = std::move(words), list](std::string& value) -> std::string {
        if (std::find(words.begin(), words.end(), value) != words.end()) return {};
        const std::string hint = backends::did_you_mean_hint(value, words);
        return fmt::format("\"{}\" is not one of {}{}{}", printable(value), list,
                           hint.empty() ? "" : "; ", hint);
      },
      list, "one_of");
}

}  // namespace facsim::cli
