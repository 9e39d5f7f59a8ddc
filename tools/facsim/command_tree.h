// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace CLI {
class App;
}

namespace facsim::cli {

/// An option or a positional argument as the command line declares it.
struct OptionText {
  std::vector<std::string> names;  ///< "-o", "--output"; one without dashes for an argument
  std::string value;               ///< "TEXT", "INT"; empty for a flag
  std::string description;
  std::vector<std::string> words;  ///< the values it may take, if those are listed
  bool required = false, repeatable = false;

  bool is_argument() const { return names.front().front() != '-'; }
};

/// A command with those nested in it: what help, the man page and completion are made from.
struct CommandText {
  std::string name, path, summary;  ///< path: "facsim profile lint"
  std::vector<OptionText> options;  ///< without --help
  std::string footer;
  std::vector<CommandText> nested;

  /// The lines below "Examples:" that start with "facsim", joined with those that continue them.
  std::vector<std::string> examples() const;
};
CommandText describe(const CLI::App& app);
nlohmann::ordered_json to_json(const CommandText& command);

/// The manual page facsim(1) in the man macros: every command, option and example.
std::string man_page(const CommandText& root, const std::string& version);

/// What the last of `words` (those behind "facsim", the last one perhaps empty) can become:
/// commands, options, an option's listed words, or `profiles` where a profile is named. Empty where
/// a file name or anything else may follow.
std::vector<std::string> completions(const CommandText& root, const std::vector<std::string>& words,
                                     const std::vector<std::string>& profiles);

}  // namespace facsim::cli
