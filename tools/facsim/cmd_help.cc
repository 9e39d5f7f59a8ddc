// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/text/did_you_mean.h"
#include "tools/facsim/command.h"
#include "tools/facsim/command_tree.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

class HelpCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    root_ = app.get_parent();
    app.add_option("command", words_, "the command, and the one nested in it");
    app.add_flag("--man", man_, "the manual page of all commands, as man(1) reads it");
    app.footer(
        "Examples:\n"
        "  facsim help profile lint\n"
        "  facsim help --man > facsim.1\n"
        "  facsim help --format json");
  }

  ExitCode run(const Globals& globals) override {
    if (man_) {
      print(man_page(describe(*root_), FACSIM_VERSION));
      return ExitCode::equal;
    }
    CLI::App* app = root_;
    std::string path = "facsim";
    for (const std::string& word : words_) {
      std::vector<std::string> names;
      CLI::App* next = nullptr;
      for (CLI::App* nested : app->get_subcommands({})) {
        names.push_back(nested->get_name());
        if (nested->get_name() == word) next = nested;
      }
      if (next == nullptr) {
        const std::string hint = backends::did_you_mean_hint(word, names);
        throw UsageError(fmt::format("{} has no command \"{}\"{}{}", path, printable(word),
                                     hint.empty() ? "" : "; ", hint));
      }
      app = next;
      path += " " + word;
    }
    if (globals.format == OutputFormat::json) {
      CommandText text = describe(*app);
      print_json(to_json(text));
    } else {
      // app->help() would be that of the command given: this one.
      print(app->get_formatter()->make_help(app, path, CLI::AppFormatMode::Normal));
    }
    return ExitCode::equal;
  }

 private:
  CLI::App* root_ = nullptr;
  std::vector<std::string> words_;
  bool man_ = false;
};

}  // namespace

std::unique_ptr<Command> make_help_command() { return std::make_unique<HelpCommand>(); }

}  // namespace facsim::cli
