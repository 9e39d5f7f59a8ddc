// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/spelling.h"

#include <cctype>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "backends/text/did_you_mean.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

std::string unknown(const char* what, const std::string& word,
                    const std::vector<std::string>& known) {
  const std::string hint = backends::did_you_mean_hint(word, known);
  return fmt::format("unknown {} \"{}\"{}{}", what, printable(word), hint.empty() ? "" : "; ",
                     hint);
}

/// The option of this command or one above it (global options may stand anywhere).
const CLI::Option* find_option(const CLI::App* app, const std::string& name) {
  for (; app != nullptr; app = app->get_parent()) {
    if (const CLI::Option* option = app->get_option_no_throw(name)) return option;
  }
  return nullptr;
}

std::vector<std::string> option_names(const CLI::App* app) {
  std::vector<std::string> names;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
      for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    }
  }
  return names;
}

std::vector<std::string> command_names(const CLI::App* app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app->get_subcommands({})) names.push_back(command->get_name());
  return names;
}

bool is_option(const std::string& word) {
  return word.size() > 1 && word[0] == '-' &&
         (word[1] == '-' || std::isalpha(static_cast<unsigned char>(word[1])) != 0);
}

/// The innermost command that was given.
const CLI::App& innermost(const CLI::App& root) {
  const CLI::App* app = &root;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return *app;
}

}  // namespace

std::string usage_message(const CLI::App& root, const CLI::ParseError& error) {
  const std::string what = error.what();  // as CLI11 2.3 words it; other words go through
  const CLI::App& app = innermost(root);
  if (what == "A subcommand is required") {
    return fmt::format("{} needs a command: {}", app.get_name(),
                       fmt::join(command_names(&app), ", "));
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr && what.ends_with("missing")) {
    return printable(what.substr(0, what.find(": "))) + " needs a value";
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    std::vector<std::string> extra = root.remaining(true);
    for (std::string& word : extra) word = fmt::format("\"{}\"", printable(word));
    return fmt::format("unexpected argument{} {}", extra.size() == 1 ? "" : "s",
                       fmt::join(extra, ", "));
  }
  return printable(what);
}

std::optional<Misspelling> find_misspelling(const CLI::App& root,
                                            const std::vector<std::string>& words) {
  const CLI::App* app = &root;
  std::string path = root.get_name();
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") break;
    if (is_option(word)) {
      const bool is_long = word[1] == '-';
      const std::string name = is_long ? word.substr(0, word.find('=')) : word.substr(0, 2);
      const CLI::Option* option = find_option(app, name);
      if (option == nullptr) return Misspelling{unknown("option", name, option_names(app)), path};
      const bool value_is_joined = is_long ? name.size() < word.size() : word.size() > 2;
      if (!value_is_joined) i += static_cast<size_t>(std::max(0, option->get_items_expected_min()));
      continue;
    }
    const std::vector<std::string> commands = command_names(app);
    if (commands.empty()) continue;  // an argument
    if (std::find(commands.begin(), commands.end(), word) == commands.end()) {
      return Misspelling{unknown("command", word, commands), path};
    }
    path += " " + word;
    app = app->get_subcommand(word);
  }
  return std::nullopt;
}

}  // namespace facsim::cli
