// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/read_network.h"
#include "tools/facsim/command.h"
#include "tools/facsim/inspect/inspect.h"
#include "tools/facsim/model_file.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

class InspectCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    model_.add_to(app, "model", "network, deployed or float");
    app.get_option("model")->required();
    app.footer(
        "Quantized networks: layers, shapes, quantization, multiply-accumulates and, under a "
        "profile,\n"
        "how many bits any input can make an accumulator need and which nodes it does not run, "
        "and\n"
        "why (exit code 4 then). Float networks: what each layer is fused into, or why it is "
        "not.\n\n"
        "Examples:\n"
        "  facsim inspect net.tflite --profile cmsis-nn\n"
        "  facsim inspect configs/networks/fashion_residual.json\n"
        "  facsim inspect net.json --format json");
  }

  ExitCode run(const Globals& globals) override {
    const backends::NetworkFile kind = backends::network_file_kind(model_.name());
    const auto network = model_.read_any();
    Description description;
    if (const auto* graph = std::get_if<backends::FloatGraph>(&network)) {
      description = describe_float(*graph, profile(globals, ""));
    } else {
      const auto& quantized = std::get<backends::IntGraph>(network);
      description = describe_quantized(quantized, profile(globals, quantized.profile), globals);
    }
    if (globals.format == OutputFormat::json) {
      nlohmann::ordered_json json = {{"model", model_.name()}, {"file", to_string(kind)}};
      json.update(description.json);
      print_json(json);
    } else {
      print(fmt::format("{}: {}, {}", printable(model_.name()), to_string(kind), description.text));
    }
    return description.supported ? ExitCode::equal : ExitCode::unsupported;
  }

 private:
  /// --profile, else the network's own; none is fine here.
  static std::optional<backends::Profile> profile(const Globals& globals,
                                                  const std::string& fallback) {
    if (globals.profile.empty() && fallback.empty()) return {};
    return globals.load_profile(fallback);
  }

  ModelFile model_;
};

}  // namespace

std::unique_ptr<Command> make_inspect_command() { return std::make_unique<InspectCommand>(); }

}  // namespace facsim::cli
