// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/network_file.h"
#include "tools/facsim/command.h"
#include "tools/facsim/model_file.h"
#include "tools/facsim/output.h"
#include "tools/facsim/output_path.h"

namespace facsim::cli {

namespace {

class ImportCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    model_.add_to(app, "model", "quantized network");
    app.get_option("model")->required();
    app.add_option("-o,--output", output_, "facsim network to write: .json, constants in .npz")
        ->required();
    app.footer(
        "Writes a deployed network as facsim's own file: a JSON graph that a person can read and\n"
        "diff, and an .npz of its constants. --profile is recorded as the profile it is run under\n"
        "when none is given. `run`, `compare` and `inspect` also take the .tflite or .onnx "
        "itself.\n\n"
        "Examples:\n"
        "  facsim import net.tflite --profile tflite-micro -o net.json\n"
        "  facsim import net.onnx --profile onnxruntime-cpu -o net.json");
  }

  ExitCode run(const Globals& globals) override {
    if (std::filesystem::path(output_).extension() != ".json") {
      throw UsageError(fmt::format("-o {}: expected a .json", printable(output_)));
    }
    require_not_an_input(output_, {model_.name()});
    require_not_an_input(std::filesystem::path(output_).replace_extension(".npz"), {model_.name()});
    backends::IntGraph graph = model_.read();
    if (!globals.profile.empty()) {
      const backends::Profile profile = globals.load_profile();
      graph.profile = profile.name;
      graph.profile_fingerprint = profile.fingerprint;
    }
    backends::write_int_graph(output_, graph);
    if (globals.format == OutputFormat::json) {
      print_json({{"model", model_.name()},
                  {"output", output_},
                  {"profile", graph.profile},
                  {"nodes", graph.nodes.size()},
                  {"tensors", graph.tensors.size()}});
    }
    note(fmt::format("{} of {} written to {}",
                     counted(static_cast<int64_t>(graph.nodes.size()), "node"),
                     printable(model_.name()), printable(output_)));
    return ExitCode::equal;
  }

 private:
  ModelFile model_;
  std::string output_;
};

}  // namespace

std::unique_ptr<Command> make_import_command() { return std::make_unique<ImportCommand>(); }

}  // namespace facsim::cli
