// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/facsim/command.h"
#include "tools/facsim/command_tree.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

/// Asks the command itself at each TAB, so that it never disagrees with what is installed. Nothing
/// to suggest: bash completes file names.
constexpr const char* kBash =
    "# bash completion of facsim. Try it: source <(facsim completion bash)\n"
    "_facsim() {\n"
    "  mapfile -t COMPREPLY < <(\"${COMP_WORDS[0]}\" completion words -- \\\n"
    "    \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "}\n"
    "complete -o bashdefault -o default -F _facsim facsim\n";

class CompletionCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    root_ = app.get_parent();
    app.require_subcommand(1);
    bash_ = app.add_subcommand("bash", "the script for bash, to source or to install");
    words_command_ = app.add_subcommand("words", "what the last word of a command line can become");
    words_command_->add_option("words", words_,
                               "behind --: the words typed after facsim, the last may be empty");
    bash_->footer(
        "Examples:\n"
        "  facsim completion bash > ~/.local/share/bash-completion/completions/facsim");
    words_command_->footer(
        "Examples:\n"
        "  facsim completion words -- profile li");
    app.footer(
        "Examples:\n"
        "  facsim completion bash > ~/.local/share/bash-completion/completions/facsim\n"
        "  facsim completion words -- list ro");
  }

  ExitCode run(const Globals& globals) override {
    if (bash_->parsed()) {
      print(kBash);
      return ExitCode::equal;
    }
    const std::vector<std::string> words =
        completions(describe(*root_), words_, backends::list_profiles(globals.search()));
    if (globals.format == OutputFormat::json) {
      print_json({{"words", words}});
    } else {
      for (const std::string& word : words) print(printable(word) + "\n");
    }
    return ExitCode::equal;
  }

 private:
  CLI::App *root_ = nullptr, *bash_ = nullptr, *words_command_ = nullptr;
  std::vector<std::string> words_;
};

}  // namespace

std::unique_ptr<Command> make_completion_command() { return std::make_unique<CompletionCommand>(); }

}  // namespace facsim::cli
