// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace facsim::cli {

struct Misspelling {
  std::string message;  ///< `unknown command "comprae"; did you mean "compare"?`
  std::string command;  ///< whose help lists the words to choose from: "facsim"
};

/// The first word of a command line that is no command or option here, with the nearest one. CLI11
/// would report such a word as a surplus argument, or the value after it as a missing file.
std::optional<Misspelling> find_misspelling(const CLI::App& root,
                                            const std::vector<std::string>& words);

/// What a command line lacks or has too much, in words of facsim: `profile needs a command: diff,
/// …`,
/// `--acc needs a value`, `unexpected argument "c"`; what CLI11 says of the rest.
std::string usage_message(const CLI::App& root, const CLI::ParseError& error);

}  // namespace facsim::cli
