// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "backends/profile/profile.h"
#include "sim/kernels/isa.h"

namespace CLI {
class App;
}

namespace facsim::cli {

/// What the process returns; scripts rely on these.
enum class ExitCode {
  equal = 0,          ///< done; everything compared was equal
  different = 1,      ///< a difference, a failed case or a lint finding
  usage = 2,          ///< the command line itself
  invalid_input = 3,  ///< a profile, network or tensor file
  unsupported = 4,    ///< valid, but not done by this profile or build
  internal = 5,       ///< our mistake
  interrupted = 130,  ///< Ctrl-C
};

enum class OutputFormat { table, json };

/// The options every command takes, resolved (auto is decided).
struct Globals {
  OutputFormat format = OutputFormat::table;
  bool color_stdout = false, color_stderr = false;
  bool progress = false;  ///< draw progress bars on stderr
  int threads = 0;        ///< 0: one per core
  sim::Isa isa = sim::Isa::best;
  uint64_t seed = 0;
  std::string profile;  ///< --profile, empty if not given
  std::vector<std::filesystem::path> profile_path;
  std::vector<backends::ProfileOverride> overrides;  ///< --set

  /// --profile-path first, then the standard places.
  backends::ProfileSearch search() const;
  /// --profile, or `fallback` when it was not given, with --set applied. UsageError if both are
  /// empty.
  backends::Profile load_profile(std::string_view fallback = {}) const;
};

/// The command line is wrong in a way CLI11 cannot see: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One subcommand; one file cmd_<name>.cc with make_<name>_command() and one line in commands.def.
class Command {
 public:
  virtual ~Command() = default;
  /// Adds options, nested commands and examples (app.footer).
  virtual void set_up(CLI::App& app) = 0;
  /// Data to stdout, everything else to stderr. Errors are thrown: UsageError, facsim::Error.
  virtual ExitCode run(const Globals& globals) = 0;
};

#define FACSIM_COMMAND(name, summary) std::unique_ptr<Command> make_##name##_command();
#include "tools/facsim/commands.def"
#undef FACSIM_COMMAND

}  // namespace facsim::cli
