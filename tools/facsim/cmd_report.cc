// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/parity/compare.h"
#include "fused/train/loss.h"
#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/deployed_network.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/output.h"
#include "tools/facsim/report/html.h"
#include "tools/facsim/report/summary.h"

namespace facsim::cli {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kOccupancyImages = 100;

/// One tensor of a run, refused if it is not what the evaluation has under that name.
Tensor read_like(const backends::NpzFile& run, const std::string& file, const std::string& name,
                 const Tensor& wanted) {
  Tensor tensor = run.read(name);
  if (tensor.shape() != wanted.shape() || tensor.dtype() != wanted.dtype()) {
    throw Error({ErrorCode::shape_mismatch, file + "!" + name,
                 fmt::format("{} {}", to_string(tensor.dtype()), to_string(tensor.shape())),
                 fmt::format("{} {}", to_string(wanted.dtype()), to_string(wanted.shape())),
                 "is it a run of the same images with --dump all?"});
  }
  return tensor;
}

backends::TensorComparison compare_tensor(const std::string& name, const Tensor& got,
                                          const Tensor& expected) {
  backends::TensorComparator comparator(name, expected.dtype(), expected.shape(), 0);
  comparator.add(got, expected);
  return comparator.result();
}

/// Tensor by tensor, so that no run is in memory as a whole.
std::vector<LayerParity> compare_runs(const fs::path& evaluation, const fs::path& deployed,
                                      const fs::path& control) {
  const backends::NpzFile expected(evaluation), got(deployed);
  std::optional<backends::NpzFile> changed;
  if (!control.empty()) changed.emplace(control);
  std::vector<LayerParity> layers;
  for (const std::string& name : expected.names()) {
    throw_if_interrupted();
    const Tensor reference = expected.read(name);
    const backends::TensorComparison parity =
        compare_tensor(name, read_like(got, deployed.string(), name, reference), reference);
    LayerParity layer{.name = name,
                      .shape = reference.shape(),
                      .compared = parity.compared,
                      .mismatches = parity.mismatches,
                      .max_lsb = static_cast<int64_t>(parity.max_difference)};
    if (changed) {
      layer.control_mismatches =
          compare_tensor(name, read_like(*changed, control.string(), name, reference), reference)
              .mismatches;
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

/// Share of the images whose largest output code is the label's class, the first of equals.
double accuracy_of(const Tensor& logits, const Tensor& labels) {
  const int64_t n = logits.shape()[0];
  if (labels.shape() != Shape{n}) {
    throw Error({ErrorCode::shape_mismatch, "labels", to_string(labels.shape()),
                 to_string(Shape{n}), "is it a run of the same images?"});
  }
  const int64_t classes = n == 0 ? 0 : logits.numel() / n;
  int64_t correct = 0;
  for (int64_t i = 0; i < n; ++i) {
    int64_t best = 0;
    const auto logit = [&](int64_t c) {
      return logits.dtype() == DType::float32
                 ? static_cast<double>(logits.data<float>()[i * classes + c])
                 : static_cast<double>(logits.int_at(i * classes + c));
    };
    for (int64_t c = 1; c < classes; ++c) {
      if (logit(c) > logit(best)) best = c;
    }
    correct += best == labels.int_at(i);
  }
  return n == 0 ? 0 : static_cast<double>(correct) / static_cast<double>(n);
}

class ReportCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.add_option("--training", training_, "output folder of facsim qat --dump all")->required();
    app.add_option("--deployed", deployed_, "facsim run --dump all of its model.json")->required();
    app.add_option("--control", control_, "the same with one rule of the profile changed");
    app.add_option("--control-setting", control_setting_, "that rule, as --set names it");
    app.add_option("--output", output_, "folder for report.html and summary.json")->required();
    app.add_option("--seconds", seconds_, "how long everything took; default: training alone");
    app.footer(
        "One page about a training run and its deployment: accuracies, curves, parity per layer,\n"
        "contrast with fake quantization, accumulator occupancy. Exit code 1 if a value differs.\n"
        "\n"
        "Examples:\n"
        "  facsim report --training out --deployed out/deployed.npz --output out");
  }

  ExitCode run(const Globals& globals) override {
    ReportData data{.history = read_history(training_ / "history.json"),
                    .profile_title = {},
                    .parity = compare_runs(training_ / "evaluation.npz", deployed_, control_),
                    .control_setting = control_.empty() ? std::string() : control_setting_,
                    .occupancy = {},
                    .occupancy_images = kOccupancyImages};
    const DeployedNetwork network(ModelFile((training_ / "model.json").string()), globals);
    data.profile_title = network.profile().title;
    data.seconds = seconds_ > 0 ? seconds_ : data.history.seconds;
    const sim::Graph& graph = network.executable();
    const std::string& logits = graph.tensors[static_cast<size_t>(graph.outputs.at(0))].name;
    data.deployed_accuracy = accuracy_of(backends::NpzFile(deployed_).read(logits),
                                         backends::read_npy(training_ / "labels.npy"));
    data.occupancy = accumulator_occupancy(graph, first_images(), kOccupancyImages);
    data.occupancy_images = std::min(kOccupancyImages, data.history.test_images);

    const nlohmann::ordered_json summary = summary_json(data);
    backends::write_file_atomically(output_ / "summary.json", summary.dump(2) + "\n");
    backends::write_file_atomically(output_ / "report.html", report_html(data));
    if (globals.format == OutputFormat::json) {
      print_json(summary);
    } else {
      print(summary_table(data));
    }
    return data.mismatches() == 0 ? ExitCode::equal : ExitCode::different;
  }

 private:
  backends::NamedTensors first_images() const {
    const backends::NpzFile evaluation(training_ / "evaluation.npz");
    backends::NamedTensors tensors;
    for (const std::string& name : evaluation.names()) {
      const Tensor all = evaluation.read(name);
      tensors.emplace_back(name, all.slice(0, std::min(kOccupancyImages, all.shape()[0])).clone());
    }
    return tensors;
  }

  fs::path training_, deployed_, control_, output_;
  std::string control_setting_;
  double seconds_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_report_command() { return std::make_unique<ReportCommand>(); }

}  // namespace facsim::cli
