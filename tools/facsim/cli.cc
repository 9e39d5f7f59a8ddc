// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/cli.h"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"
#include "tools/facsim/parse_override.h"
#include "tools/facsim/spelling.h"

namespace facsim::cli {

namespace {

constexpr const char* kAbout =
    "Bit-exact simulation of integer neural-network accelerators, and training through it.";
constexpr const char* kExamples =
    "Examples:\n"
    "  facsim list rounding\n"
    "  facsim profile explain tflite-micro /requantize\n"
    "  facsim run --model net.json --profile tflite-micro --inputs x.npz -o out.npz\n"
    "  facsim compare out.npz golden.npz\n"
    "\n"
    "Exit codes: 0 equal, 1 different or a finding, 2 usage, 3 invalid input, 4 unsupported,\n"
    "5 internal error, 130 interrupted. Data goes to stdout, everything else to stderr; with\n"
    "--format json errors are JSON as well, one line on stderr.";

/// The global options as typed.
struct RawGlobals {
  std::string format = "table", color = "auto", progress = "auto", isa = "best", profile;
  int threads = 0;
  uint64_t seed = 0;
  std::vector<std::string> overrides, profile_path;
};

std::vector<std::string> isa_words() {
  std::vector<std::string> words = {"best"};
  for (const sim::Isa isa : sim::available_isas()) words.emplace_back(sim::to_string(isa));
  return words;
}

/// CLI11 reads "-1" as the largest unsigned number.
std::string not_negative(const std::string& word) {
  return word.starts_with('-') ? "Value " + word + " is negative" : "";
}

/// An empty name is not the same as no --profile, which a network's own profile replaces.
std::string not_empty(const std::string& word) { return word.empty() ? "empty name" : ""; }

void add_global_options(CLI::App& app, RawGlobals& raw) {
  const auto group = "Global options";
  app.add_option("--format", raw.format, "table for people, json for programs")
      ->check(one_of({"table", "json"}))
      ->group(group);
  app.add_option("--color", raw.color, "auto, always or never (auto obeys NO_COLOR)")
      ->check(one_of({"auto", "always", "never"}))
      ->group(group);
  app.add_option("--progress", raw.progress, "progress bars: auto (on a terminal), always, never")
      ->check(one_of({"auto", "always", "never"}))
      ->group(group);
  app.add_option("-j,--threads", raw.threads, "threads; 0: one per core (results never differ)")
      ->check(CLI::Range(0, 256))
      ->group(group);
  app.add_option("--isa", raw.isa, "kernels to run; scalar is the norm all others equal")
      ->check(one_of(isa_words()))
      ->group(group);
  app.add_option("--seed", raw.seed, "seed of everything random")
      ->check(not_negative)
      ->group(group);
  app.add_option("--profile", raw.profile, "backend profile: a name or a path")
      ->check(not_empty)
      ->group(group);
  app.add_option("--profile-path", raw.profile_path,
                 "folder to look for profiles first; repeatable")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--set", raw.overrides, "/pointer=value changes the profile; repeatable")
      ->allow_extra_args(false)
      ->group(group);
}

bool use_color(const std::string& choice, int descriptor) {
  if (choice != "auto") return choice == "always";
  const char* no_color = std::getenv("NO_COLOR");
  return (no_color == nullptr || *no_color == '\0') && isatty(descriptor) == 1;
}

Globals resolve(const RawGlobals& raw) {
  Globals globals;
  globals.format = raw.format == "json" ? OutputFormat::json : OutputFormat::table;
  globals.color_stdout = use_color(raw.color, STDOUT_FILENO);
  globals.color_stderr = use_color(raw.color, STDERR_FILENO);
  globals.progress =
      raw.progress == "always" || (raw.progress == "auto" && isatty(STDERR_FILENO) == 1);
  globals.threads = raw.threads;
  globals.isa = *sim::isa_from_string(raw.isa);
  globals.seed = raw.seed;
  globals.profile = raw.profile;
  for (const std::string& folder : raw.profile_path) globals.profile_path.emplace_back(folder);
  for (const std::string& text : raw.overrides)
    globals.overrides.push_back(parse_override("--set", text));
  return globals;
}

/// How errors are told on stderr: lines for people or, with --format json, one JSON object
/// {"errors": [{"code", "message", "place", "found", "expected", "hint"}…], "exit_code": N} on one
/// line (a usage error has the keys "code", "message" and "see").
struct ErrorStyle {
  bool json = false;
  bool color = false;
};

using Json = nlohmann::ordered_json;

void print_json_errors(Json errors, ExitCode code) {
  const Json json = {{"errors", std::move(errors)}, {"exit_code", static_cast<int>(code)}};
  const std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

ExitCode report(std::string_view word, std::string_view text, ExitCode code, ErrorStyle style) {
  if (style.json) {
    print_json_errors(Json::array({{{"code", word}, {"message", text}}}), code);
    return code;
  }
  const std::string line =
      fmt::format("{} {}\n", colored("facsim: error:", Color::red, style.color), text);
  std::fwrite(line.data(), 1, line.size(), stderr);
  return code;
}

ExitCode report_usage(std::string_view text, const std::string& command, ErrorStyle style) {
  const std::string see = command + " --help";
  if (style.json) {
    print_json_errors(Json::array({{{"code", "usage"}, {"message", text}, {"see", see}}}),
                      ExitCode::usage);
    return ExitCode::usage;
  }
  report("usage", text, ExitCode::usage, style);
  std::fputs(fmt::format("see {}\n", see).c_str(), stderr);
  return ExitCode::usage;
}

ExitCode report(const Error& error, ExitCode code, ErrorStyle style) {
  Json errors = Json::array();
  for (const ErrorInfo& info : error.infos()) {
    if (!style.json) report("", to_string(info), code, style);
    errors.push_back({{"code", to_string(info.code)},
                      {"message", to_string(info)},
                      {"place", info.place},
                      {"found", info.found},
                      {"expected", info.expected},
                      {"hint", info.hint}});
  }
  if (style.json) print_json_errors(std::move(errors), code);
  return code;
}

/// The style before the options are parsed: --format json and --color as they stand there.
ErrorStyle style_of(const std::vector<std::string>& words) {
  ErrorStyle style;
  std::string color = "auto";
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    const bool more = i + 1 < words.size();
    style.json |=
        words[i] == "--format=json" || (words[i] == "--format" && more && words[i + 1] == "json");
    if (words[i].starts_with("--color=")) color = words[i].substr(8);
    if (words[i] == "--color" && more) color = words[i + 1];
  }
  style.color = use_color(color == "always" || color == "never" ? color : "auto", STDERR_FILENO);
  return style;
}

/// "run" or "profile lint": the words of the innermost command given.
std::string command_path(const CLI::App& root) {
  std::string path = "facsim";
  for (const CLI::App* app = &root; !app->get_subcommands().empty();) {
    app = app->get_subcommands().front();
    path += " " + app->get_name();
  }
  return path;
}

/// After the examples of a command and of those nested in it.
void add_global_footer(CLI::App& app) {
  const std::string examples = app.get_footer();
  app.footer(examples + (examples.empty() ? "" : "\n\n") +
             "Global options (--profile, --set, --format, -j, …): facsim --help");
  for (CLI::App* nested : app.get_subcommands({})) add_global_footer(*nested);
}

struct RegisteredCommand {
  CLI::App* app = nullptr;
  std::unique_ptr<Command> command;
};

std::vector<RegisteredCommand> add_commands(CLI::App& root) {
  std::vector<RegisteredCommand> commands;
  const auto add = [&](const char* name, const char* summary, std::unique_ptr<Command> command) {
    CLI::App* app = root.add_subcommand(name, summary);
    command->set_up(*app);
    add_global_footer(*app);
    commands.push_back({app, std::move(command)});
  };
#define FACSIM_COMMAND(name, summary) add(#name, summary, make_##name##_command());
#include "tools/facsim/commands.def"
#undef FACSIM_COMMAND
  return commands;
}

ExitCode exit_code_of(const Error& error) {
  for (const ErrorInfo& info : error.infos()) {
    if (info.code != ErrorCode::unsupported) return ExitCode::invalid_input;
  }
  return ExitCode::unsupported;
}

/// Runs the body and turns what it throws into a message and an exit code.
ExitCode guarded(const CLI::App& root, ErrorStyle style, const std::function<ExitCode()>& body) {
  try {
    return body();
  } catch (const UsageError& error) {
    return report_usage(error.what(), command_path(root), style);
  } catch (const Error& error) {
    return report(error, exit_code_of(error), style);
  } catch (const Interrupted&) {
    return report("interrupted", "interrupted", ExitCode::interrupted, style);
  } catch (const std::bad_alloc&) {
    return report("memory", "out of memory", ExitCode::invalid_input, style);
  } catch (const std::exception& error) {
    return report("internal", fmt::format("internal error: {}", error.what()), ExitCode::internal,
                  style);
  }
}

/// Parses; the exit code if that already ends the process (--help, --version, a usage error).
std::optional<ExitCode> parse(CLI::App& root, std::vector<std::string> words, ErrorStyle style) {
  if (const auto misspelling = find_misspelling(root, words)) {
    return report_usage(misspelling->message, misspelling->command, style);
  }
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    root.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    print(root.help());  // of the innermost command given
    return ExitCode::equal;
  } catch (const CLI::CallForVersion& version) {
    print(std::string(version.what()) + "\n");
    return ExitCode::equal;
  } catch (const CLI::ParseError& error) {
    return report_usage(usage_message(root, error), command_path(root), style);
  }
  return std::nullopt;
}

/// A full disk or a closed pipe behind stdout must not look like success.
ExitCode flush_stdout(ExitCode code, ErrorStyle style) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  return report("io", "stdout: cannot write", ExitCode::invalid_input, style);
}

}  // namespace

backends::ProfileSearch Globals::search() const {
  backends::ProfileSearch search = backends::ProfileSearch::standard();
  search.folders.insert(search.folders.begin(), profile_path.begin(), profile_path.end());
  return search;
}

backends::Profile Globals::load_profile(std::string_view fallback) const {
  const std::string name = profile.empty() ? std::string(fallback) : profile;
  if (name.empty()) throw UsageError("--profile is required (a name or a path)");
  return backends::load_profile(name, search(), overrides);
}

int run(int argc, const char* const* argv) {
  RawGlobals raw;
  CLI::App root{kAbout, "facsim"};
  root.fallthrough();
  root.require_subcommand(1);
  root.set_version_flag("--version", "facsim " FACSIM_VERSION);
  root.footer(kExamples);
  add_global_options(root, raw);
  std::vector<RegisteredCommand> commands;

  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const ErrorStyle style = style_of(words);
  std::optional<ExitCode> ended;
  Globals globals;
  ExitCode code = guarded(root, style, [&] {
    commands = add_commands(root);
    ended = parse(root, words, style);
    if (!ended) globals = resolve(raw);
    return ended.value_or(ExitCode::equal);
  });
  if (!ended && code == ExitCode::equal) {
    catch_interrupts();
    report_file_size_limit();
    code = guarded(root, style, [&] {
      for (const RegisteredCommand& command : commands) {
        if (command.app->parsed()) return command.command->run(globals);
      }
      throw UsageError("no command");
    });
  }
  return static_cast<int>(flush_stdout(code, style));
}

}  // namespace facsim::cli
