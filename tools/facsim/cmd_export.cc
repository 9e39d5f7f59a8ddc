// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/onnx/to_onnx.h"
#include "backends/tflite/write_tflite.h"
#include "fused/value.h"
#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/comparison_output.h"
#include "tools/facsim/deployed_network.h"
#include "tools/facsim/model_file.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"
#include "tools/facsim/output_path.h"
#include "tools/facsim/runtime_process.h"

namespace facsim::cli {

namespace {

constexpr int64_t kUint8Shift = 128;  ///< what write_tflite takes from uint8 codes

bool is_onnx(const std::filesystem::path& file) { return file.extension() == ".onnx"; }

Tensor shifted(const Tensor& codes, DType dtype, int64_t shift) {
  Tensor out = Tensor::uninitialized(dtype, codes.shape());
  for (int64_t i = 0; i < codes.numel(); ++i) out.set_int(i, codes.int_at(i) + shift);
  return out;
}

/// Tensors between a network and a file that was exported from it.
class FileBorder {
 public:
  FileBorder(const DeployedNetwork& network, const std::filesystem::path& file)
      : network_(network), is_onnx_(is_onnx(file)) {}

  /// A network input (NHWC) as the file takes it.
  Tensor to_file(const Tensor& tensor) const {
    if (is_onnx_) return fused::nchw_from_nhwc(tensor);
    return tensor.dtype() == DType::uint8 ? shifted(tensor, DType::int8, -kUint8Shift) : tensor;
  }
  /// The file's tensor as the network's own file lays it out.
  Tensor from_file(const std::string& name, const Tensor& tensor) const {
    if (is_onnx_) return network_.to_file_layout(fused::nhwc_from_nchw(tensor));
    const auto& tensors = network_.graph().tensors;
    const auto own = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const auto& info) { return info.name == name; });
    const bool is_shifted = own != tensors.end() && own->dtype == DType::uint8;
    return network_.to_file_layout(is_shifted ? shifted(tensor, DType::uint8, kUint8Shift)
                                              : tensor);
  }

 private:
  const DeployedNetwork& network_;
  bool is_onnx_;
};

class ExportCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    model_.add_to(app, "--model", "quantized network");
    app.get_option("--model")->required();
    app.add_option("--to", to_, "file to write: .onnx or .tflite")->required();
    app.add_option("--form", form_, "ONNX: Q/DQ around real operators, or operators on codes")
        ->check(one_of({"qdq", "qoperator"}));
    app.add_flag("--verify", verify_, "run the file in its runtime and count differing outputs");
    app.add_option("--inputs", inputs_, "inputs for --verify: .npz by tensor name, or one .npy");
    app.add_option("--runtimes", runtimes_,
                   "folder of tools/runtimes/install.sh (FACSIM_RUNTIMES, build/runtimes)");
    app.footer(
        "--verify simulates the network under the runtime's profile (onnxruntime-cpu, xnnpack-x86) "
        "or\n"
        "--profile, and also says how far the network's own profile is from the runtime.\n\n"
        "Examples:\n"
        "  facsim export --model net.json --to net.tflite\n"
        "  facsim export --model net.json --to net.onnx --form qoperator\n"
        "  facsim export --model net.json --to net.onnx --verify --inputs images.npz");
  }

  ExitCode run(const Globals& globals) override {
    const DeployedRuntime& runtime = runtime_of(to_);
    if (!is_onnx(to_) && !form_.empty()) throw UsageError("--form is for .onnx files");
    if (verify_ && inputs_.empty()) throw UsageError("--verify needs --inputs");
    if (!verify_ && !inputs_.empty()) throw UsageError("--inputs is for --verify");
    if (!verify_ && !runtimes_.empty()) throw UsageError("--runtimes is for --verify");
    require_not_an_input(to_, {model_.name(), inputs_});
    if (!verify_) {
      const backends::IntGraph graph = model_.read();
      write(graph);
      warn(graph, runtime);
      report_written(globals, graph, runtime);
      return ExitCode::equal;
    }
    Globals matching = globals;
    if (matching.profile.empty()) matching.profile = runtime.profile;
    const DeployedNetwork network(model_, matching);
    // Whatever can be missing is looked for before a file is written.
    const std::vector<Tensor> inputs = network.inputs(read_arrays(inputs_), inputs_);
    const std::filesystem::path script = find_runtime(runtime, runtimes_);
    write(network.graph());
    return verify(globals, matching, network, inputs, runtime, script);
  }

 private:
  void write(const backends::IntGraph& graph) const {
    if (!is_onnx(to_)) {
      backends::write_tflite(to_, graph);
      return;
    }
    const auto form =
        form_ == "qoperator" ? backends::OnnxForm::qoperator : backends::OnnxForm::qdq;
    backends::write_onnx_model(to_, backends::to_onnx(graph, form));
  }

  static void warn(const backends::IntGraph& graph, const DeployedRuntime& runtime) {
    if (graph.profile.empty() || graph.profile == runtime.profile) return;
    note(fmt::format("the network was made for {}, {} computes as {}: results may differ",
                     printable(graph.profile), runtime.title, runtime.profile));
  }

  std::vector<std::string> runtime_options(const backends::IntGraph& graph) const {
    return form_ == "qoperator" ? std::vector<std::string>{} : int8_options(to_, graph);
  }

  ExitCode verify(const Globals& globals, const Globals& matching, const DeployedNetwork& network,
                  const std::vector<Tensor>& inputs, const DeployedRuntime& runtime,
                  const std::filesystem::path& script) const {
    const FileBorder border(network, to_);
    backends::NamedTensors arrays;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto t = static_cast<size_t>(network.graph().inputs[i]);
      arrays.emplace_back(network.graph().tensors[t].name, border.to_file(inputs[i]));
    }
    RuntimeResult real =
        run_in_runtime(runtime, script, to_, arrays, runtime_options(network.graph()));
    for (auto& [name, tensor] : real.outputs) tensor = border.from_file(name, tensor);

    const NetworkComparison result =
        compare_network(network, inputs, golden_of(network, real.outputs, {}),
                        {.first_mismatches = first_}, matching);
    if (result.report.compared() == 0) {
      throw Error({ErrorCode::shape_mismatch, to_, "no output to compare", "", ""});
    }
    const auto own = own_profile(globals, network, inputs, real.outputs);
    report(globals, network, result, own, runtime, real);
    return result.report.equal() ? ExitCode::equal : ExitCode::different;
  }

  /// The comparison under the network's own profile, if that is another one.
  std::optional<backends::ComparisonReport> own_profile(const Globals& globals,
                                                        const DeployedNetwork& network,
                                                        const std::vector<Tensor>& inputs,
                                                        const backends::NamedTensors& real) const {
    const std::string& name = network.graph().profile;
    if (name.empty() || name == network.profile().name) return {};
    Globals own = globals;
    own.profile = name;
    const DeployedNetwork as_made(model_, own);
    return compare_network(as_made, inputs, golden_of(as_made, real, {}), {}, own).report;
  }

  void report(const Globals& globals, const DeployedNetwork& network,
              const NetworkComparison& result, const std::optional<backends::ComparisonReport>& own,
              const DeployedRuntime& runtime, const RuntimeResult& real) const {
    const bool equal = result.report.equal();
    if (globals.format == OutputFormat::json) {
      nlohmann::ordered_json json = written_json(network.graph(), runtime);
      json["runtime_version"] = real.version;
      json["simulated_profile"] = network.profile().name;
      json["comparison"] = report_json(result, equal);
      if (own) {
        json["own_profile"] = {{"name", network.graph().profile},
                               {"compared", own->compared()},
                               {"mismatches", own->mismatches()}};
      }
      print_json(json);
      return;
    }
    print_report(result, {.accepted = equal, .color = globals.color_stdout});
    print(fmt::format("{} ({}) against the simulator under {}\n", runtime.title,
                      printable(real.version), network.profile().name));
    if (own) {
      print(fmt::format("Under the network's own profile {}, {} of {} values differ from {}.\n",
                        printable(network.graph().profile), with_commas(own->mismatches()),
                        with_commas(own->compared()), runtime.title));
    }
    note(fmt::format("written to {}", printable(to_)));
  }

  nlohmann::ordered_json written_json(const backends::IntGraph& graph,
                                      const DeployedRuntime& runtime) const {
    nlohmann::ordered_json json = {{"model", model_.name()}, {"file", to_}};
    if (is_onnx(to_)) json["form"] = form_.empty() ? "qdq" : form_;
    json["nodes"] = graph.nodes.size();
    json["profile"] = graph.profile;
    json["runtime"] = runtime.title;
    json["runtime_profile"] = runtime.profile;
    return json;
  }

  void report_written(const Globals& globals, const backends::IntGraph& graph,
                      const DeployedRuntime& runtime) const {
    if (globals.format == OutputFormat::json) {
      print_json(written_json(graph, runtime));
    } else {
      note(fmt::format("{} written to {}",
                       counted(static_cast<int64_t>(graph.nodes.size()), "node"), printable(to_)));
    }
  }

  ModelFile model_;
  std::string to_, form_, inputs_, runtimes_;
  bool verify_ = false;
  int first_ = 5;
};

}  // namespace

std::unique_ptr<Command> make_export_command() { return std::make_unique<ExportCommand>(); }

}  // namespace facsim::cli
