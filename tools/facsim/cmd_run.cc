// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "sim/core/error.h"
#include "sim/graph/executor.h"
#include "tools/facsim/command.h"
#include "tools/facsim/deployed_network.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"
#include "tools/facsim/output_path.h"
#include "tools/facsim/progress.h"

namespace facsim::cli {

namespace {

class RunCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    model_.add_to(app, "--model", "network");
    app.get_option("--model")->required();
    app.add_option("--inputs", inputs_, "input arrays: .npz by tensor name, or one .npy")
        ->required();
    app.add_option("-o,--output", output_, "results: .npz (or .npy for a single tensor)")
        ->required();
    app.add_option("--dump", dump_, "outputs, or all tensors of the network")
        ->check(one_of({"outputs", "all"}));
    app.add_flag("--events", events_, "count saturations, wraps and overflows per node (slower)");
    app.footer(
        "Real inputs are quantized by the network input's quantizer, integers are taken as codes.\n"
        "Arrays have the layout of the network's file. An .npz of results says in its comment "
        "which\n"
        "network, profile and inputs made it; `compare` reads that.\n\n"
        "Examples:\n"
        "  facsim run --model net.json --profile tflite-micro --inputs x.npz -o out.npz\n"
        "  facsim run --model net.tflite --profile cmsis-nn --inputs x.npy -o all.npz --dump all "
        "--isa scalar");
  }

  ExitCode run(const Globals& globals) override {
    require_not_an_input(output_, {model_.name(), inputs_});
    const DeployedNetwork network(model_, globals);
    check_output(network);
    std::vector<Tensor> inputs = network.inputs(read_arrays(inputs_), inputs_);
    const int64_t images = inputs[0].shape()[0];
    const backends::Provenance provenance = network.provenance(inputs);

    ProgressBar bar("run", images, globals.progress);
    sim::ExecutorOptions options;
    options.isa = globals.isa;
    options.threads = globals.threads;
    options.trace = dump_ == "all";
    options.count_events = events_;
    options.progress = [&](int64_t done, int64_t) {
      throw_if_interrupted();
      bar.update(done);
    };
    const sim::Executor executor(network.executable(), options);
    const auto start = std::chrono::steady_clock::now();
    const sim::RunResult result = executor.run(std::move(inputs));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

    const backends::NamedTensors tensors = named(network, result);
    throw_if_interrupted();
    write(tensors, provenance);
    report(globals, provenance, network, tensors, result, images, seconds.count());
    return ExitCode::equal;
  }

 private:
  /// Before anything is computed.
  void check_output(const DeployedNetwork& network) const {
    const std::string extension = std::filesystem::path(output_).extension().string();
    if (extension != ".npz" && extension != ".npy") {
      throw UsageError(fmt::format("-o {}: expected an .npz or .npy", printable(output_)));
    }
    const size_t tensors =
        dump_ == "all" ? network.executable().tensors.size() : network.executable().outputs.size();
    if (extension == ".npy" && tensors != 1) {
      throw UsageError(fmt::format("{}: {} tensors need an .npz", printable(output_), tensors));
    }
  }

  backends::NamedTensors named(const DeployedNetwork& network, const sim::RunResult& result) const {
    const sim::Graph& graph = network.executable();
    backends::NamedTensors tensors;
    if (dump_ == "all") {
      for (size_t t = 0; t < graph.tensors.size(); ++t) {
        tensors.emplace_back(graph.tensors[t].name, network.to_file_layout(result.tensors[t]));
      }
      return tensors;
    }
    for (size_t i = 0; i < graph.outputs.size(); ++i) {
      const auto t = static_cast<size_t>(graph.outputs[i]);
      tensors.emplace_back(graph.tensors[t].name, network.to_file_layout(result.outputs[i]));
    }
    return tensors;
  }

  void write(const backends::NamedTensors& tensors, const backends::Provenance& provenance) const {
    if (std::filesystem::path(output_).extension() != ".npy") {
      backends::write_npz(output_, tensors, backends::to_comment(provenance));
      return;
    }
    backends::write_npy(output_, tensors[0].second);
  }

  void report(const Globals& globals, const backends::Provenance& provenance,
              const DeployedNetwork& network, const backends::NamedTensors& tensors,
              const sim::RunResult& result, int64_t images, double seconds) const {
    const sim::Graph& graph = network.executable();
    if (globals.format == OutputFormat::json) {
      nlohmann::ordered_json json = {{"model", model_.name()},
                                     {"profile", network.profile().name},
                                     {"profile_fingerprint", provenance.profile_fingerprint},
                                     {"network_fingerprint", provenance.network},
                                     {"inputs_fingerprint", provenance.inputs},
                                     {"images", images},
                                     {"seconds", seconds},
                                     {"output", output_},
                                     {"tensors", nlohmann::ordered_json::array()}};
      for (const auto& [name, tensor] : tensors) {
        json["tensors"].push_back({{"name", name},
                                   {"dtype", to_string(tensor.dtype())},
                                   {"shape", tensor.shape().extents()}});
      }
      if (events_) json["events"] = nlohmann::ordered_json::array();
      for (size_t n = 0; n < result.events.size(); ++n) {
        const sim::Events& e = result.events[n];
        json["events"].push_back({{"node", graph.nodes[n].name},
                                  {"saturated", e.saturated},
                                  {"wrapped", e.wrapped},
                                  {"accumulator_overflow", e.accumulator_overflow}});
      }
      print_json(json);
      return;
    }
    TextTable table({{"tensor", TextTable::Align::name}, {"dtype"}, {"shape"}});
    for (const auto& [name, tensor] : tensors) {
      table.add_row(
          {printable(name), std::string(to_string(tensor.dtype())), to_string(tensor.shape())});
    }
    print(table.text());
    if (events_) print("\n" + events_table(graph, result));
    note(fmt::format("{} in {:.2f} s under {}, written to {}", counted(images, "image"), seconds,
                     network.profile().name, printable(output_)));
  }

  static std::string events_table(const sim::Graph& graph, const sim::RunResult& result) {
    using Align = TextTable::Align;
    TextTable table({{"node", Align::name},
                     {"op"},
                     {"saturated", Align::right},
                     {"wrapped", Align::right},
                     {"accumulator overflow", Align::right}});
    for (size_t n = 0; n < result.events.size(); ++n) {
      const sim::Events& e = result.events[n];
      table.add_row({printable(graph.nodes[n].name), std::string(graph.nodes[n].op->kind()),
                     with_commas(e.saturated), with_commas(e.wrapped),
                     with_commas(e.accumulator_overflow)});
    }
    return table.text();
  }

  ModelFile model_;
  std::string inputs_, output_, dump_ = "outputs";
  bool events_ = false;
};

}  // namespace

std::unique_ptr<Command> make_run_command() { return std::make_unique<RunCommand>(); }

}  // namespace facsim::cli
