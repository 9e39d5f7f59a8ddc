// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace facsim::cli {

struct Misspelling {
  std::string message;  ///< `unknown command "comprae"; did you mean "compare"?`
  std::string command;  ///< whose help lists the words to choose from: "facsim"
};

/// The first word of a command line that is no command or option here, with the nearest one. CLI11
/// would report such a word as a surplus argument, or the value after it as a missing file.
std::optional<Misspelling> find_misspelling(const CLI::App& root,
                                            const std::vector<std::string>& words);

}  // namespace facsim::cli
