// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace facsim::cli {

/// The first word of a command line that is no command or option here, as a message with the
/// nearest one: `unknown command "comprae"; did you mean "compare"?`. CLI11 would report such a
/// word as a surplus argument, or the value after it as a missing file.
std::optional<std::string> find_misspelling(const CLI::App& root,
                                            const std::vector<std::string>& words);

}  // namespace facsim::cli
