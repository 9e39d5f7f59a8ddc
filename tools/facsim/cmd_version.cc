// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/facsim/command.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

class VersionCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.footer(
        "Examples:\n"
        "  facsim version\n"
        "  facsim version --format json");
  }

  ExitCode run(const Globals& globals) override {
    std::vector<std::string> isas;
    for (const sim::Isa isa : sim::available_isas()) isas.emplace_back(sim::to_string(isa));
    if (globals.format == OutputFormat::json) {
      print_json({{"version", FACSIM_VERSION}, {"compiler", __VERSION__}, {"isas", isas}});
    } else {
      print(fmt::format("facsim {}\ncompiler {}\nkernels {}\n", FACSIM_VERSION, __VERSION__,
                        fmt::join(isas, ", ")));
    }
    return ExitCode::equal;
  }
};

}  // namespace

std::unique_ptr<Command> make_version_command() { return std::make_unique<VersionCommand>(); }

}  // namespace facsim::cli
