// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/graph/float_graph.h"
#include "backends/io/network_file.h"
#include "backends/io/read_network.h"
#include "backends/onnx/float_onnx.h"
#include "fused/patterns/pattern_registry.h"
#include "fused/train/memory.h"
#include "fused/train/trainer.h"
#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"
#include "tools/facsim/progress.h"
#include "tools/facsim/qat/contrast.h"
#include "tools/facsim/qat/evaluation.h"
#include "tools/facsim/qat/history.h"

namespace facsim::cli {

namespace {

namespace fs = std::filesystem;
namespace train = fused::train;
using Clock = std::chrono::steady_clock;

/// The options as typed.
struct Options {
  fs::path network, data, output, float_onnx;
  train::Recipe recipe;
  std::string schedule{train::to_string(train::Recipe{}.schedule)};
  std::string optimizer{train::to_string(train::OptimizerOptions{}.kind)};
  std::string augment = "none", mode = "simulate", grad = "float32", dump = "none";
  std::vector<float> mean, std;
  int64_t limit = 0, test_limit = 0;
  bool resume = false;
};

/// Draws the bar of the stage and reports each finished epoch on stderr.
class TrainingDisplay {
 public:
  explicit TrainingDisplay(bool enabled) : enabled_(enabled) {}

  train::Callbacks callbacks() {
    return {.step = [this](const train::Progress& p) { step(p); },
            .epoch = [this](const train::EpochRecord& e) { epoch(e); }};
  }

 private:
  void step(const train::Progress& p) {
    throw_if_interrupted();
    epochs_ = p.epochs;
    if (!bar_ || stage_ != p.stage) {
      stage_ = p.stage;
      // Erases the last stage's bar before the new one draws.
      bar_.reset();
      bar_ = std::make_unique<ProgressBar>(std::string(train::to_string(p.stage)),
                                           p.steps * (p.epochs - p.epoch + 1), enabled_);
      first_epoch_ = p.epoch;
    }
    bar_->update((p.epoch - first_epoch_) * p.steps + p.step,
                 fmt::format("epoch {}/{}  loss {:.4f}  accuracy {:.2f} %", p.epoch, p.epochs,
                             p.loss, 100 * p.accuracy));
  }
  void epoch(const train::EpochRecord& e) {
    if (enabled_) std::fputs("\r\x1b[K", stderr);
    note(
        fmt::format("{} epoch {}/{}: loss {:.4f}, accuracy {:.2f} % train, {:.2f} % test, {:.1f} s",
                    train::to_string(e.stage), e.epoch, epochs_, e.loss, 100 * e.train_accuracy,
                    100 * e.test_accuracy, e.seconds));
  }

  bool enabled_;
  std::unique_ptr<ProgressBar> bar_;
  train::Stage stage_ = train::Stage::float_;
  int first_epoch_ = 1, epochs_ = 0;
};

/// Channels of the network's output: those of the nearest layer before it that sets them.
int64_t classes_of(const backends::FloatGraph& graph) {
  std::string name = graph.outputs.at(0);
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (node->name != name) continue;
    if (node->op == "Linear" || node->op == "Conv2d" || node->op == "ConvTranspose2d") {
      return node->out_channels;
    }
    name = node->inputs.at(0);
  }
  throw Error({ErrorCode::unsupported, graph.name, "no Linear or Conv2d before its output",
               "a classifier", ""});
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || !fs::is_directory(folder)) {
    throw Error({ErrorCode::io, folder.string(), error ? error.message() : "not a folder",
                 "a folder to write to", ""});
  }
}

Tensor labels_tensor(const train::Dataset& data) {
  const std::vector<int64_t> labels(data.labels.begin(), data.labels.end());
  return Tensor::from<int64_t>(Shape{data.size()}, labels);
}

class QatCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    train::Recipe& r = o_.recipe;
    app.add_option("--network", o_.network, "float network: configs/networks/*.json, or .onnx")
        ->required();
    app.add_option("--data", o_.data, "folder with MNIST-like IDX files, or an .npz")->required();
    app.add_option("--output", o_.output, "folder for the results")->required();
    app.add_option("--epochs", r.epochs, "QAT epochs; 0: post-training quantization")
        ->capture_default_str();
    float_epochs_ = app.add_option("--float-epochs", r.float_epochs,
                                   "epochs in float before; a network that comes with its "
                                   "parameters (.onnx) gets none unless asked")
                        ->capture_default_str();
    app.add_option("--mean", o_.mean, "of the input per channel, instead of the network's")
        ->delimiter(',')
        ->expected(1, 4096);
    app.add_option("--std", o_.std, "of the input per channel: real = (pixel / 255 - mean) / std")
        ->delimiter(',')
        ->expected(1, 4096);
    app.add_option("--batch", r.batch, "images a step")->capture_default_str();
    app.add_option("--lr", r.lr, "learning rate of QAT")->capture_default_str();
    app.add_option("--float-lr", r.float_lr, "learning rate in float")->capture_default_str();
    app.add_option("--schedule", o_.schedule, "constant, cosine, one_cycle or step")
        ->check(one_of({"constant", "cosine", "one_cycle", "step"}))
        ->capture_default_str();
    app.add_option("--optimizer", o_.optimizer, "sgd or adam")
        ->check(one_of({"sgd", "adam"}))
        ->capture_default_str();
    app.add_option("--momentum", r.optimizer.momentum, "of sgd")->capture_default_str();
    app.add_option("--weight-decay", r.optimizer.weight_decay, "on weights, not BN and biases")
        ->capture_default_str();
    app.add_option("--augment", o_.augment, "none or shift_flip")
        ->check(one_of({"none", "shift_flip"}))
        ->capture_default_str();
    app.add_option("--calibration-images", r.calibration_images, "set the first ranges")
        ->capture_default_str();
    app.add_option("--frozen-part", r.frozen_part,
                   "last part of QAT with BN statistics and observers frozen")
        ->capture_default_str();
    app.add_option("--mode", o_.mode, "forward while training: simulate or fake_quantize")
        ->check(one_of({"simulate", "fake_quantize"}))
        ->capture_default_str();
    app.add_option("--grad", o_.grad,
                   "products of the gradients: float32, or bf16 (needs AVX-512 BF16)")
        ->check(one_of({"float32", "bf16"}))
        ->capture_default_str();
    app.add_option("--limit", o_.limit, "use the first N training images; 0: all")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--test-limit", o_.test_limit, "use the first N test images; 0: all")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--dump", o_.dump,
                   "all: also write the test images' codes of every layer (input.npz, "
                   "evaluation.npz)")
        ->check(one_of({"none", "all"}))
        ->capture_default_str();
    app.add_option("--float-onnx", o_.float_onnx,
                   "also write the float network with the trained parameters as ONNX");
    app.add_flag("--resume", o_.resume, "continue from the output folder's checkpoint.npz");
    app.footer(
        "Writes to the output folder: model.json and model.npz (the deployed network), "
        "history.json\n"
        "(accuracies, curves, contrast with fake quantization), labels.npy, checkpoint.npz.\n"
        "\n"
        "Examples:\n"
        "  facsim qat --profile tflite-micro --network configs/networks/fashion_cnn.json \\\n"
        "    --data /usr/share/datasets/fashion-mnist --output out\n"
        "  facsim qat --network trained.onnx --mean 0.286 --std 0.353 …\n"
        "  facsim qat … --epochs 0            post-training quantization\n"
        "  facsim qat … --resume              continue an interrupted run to the same bits");
  }

  ExitCode run(const Globals& globals) override {
    const Clock::time_point start = Clock::now();
    fused::train::keep_freed_memory();
    const backends::Profile profile = globals.load_profile();
    const backends::FloatGraph graph = read_network();
    const train::Recipe recipe = resolve_recipe(globals, graph);
    std::map<std::string, backends::Profile> layer_profiles;
    for (const backends::FloatNode& node : graph.nodes) {
      if (node.profile.empty()) continue;
      layer_profiles.try_emplace(node.profile,
                                 backends::load_profile(node.profile, globals.search()));
    }
    const train::Dataset training = load(train::Split::train, o_.limit, graph);
    const train::Dataset test = load(train::Split::test, o_.test_limit, graph);
    make_folder(o_.output);
    const fs::path checkpoint = o_.output / "checkpoint.npz";
    const bool resume = o_.resume && fs::exists(checkpoint);
    if (o_.resume && !resume) note("no checkpoint.npz yet: starting afresh");

    const fused::PatternRegistry patterns = fused::PatternRegistry::standard();
    sim::ThreadPool pool(globals.threads);
    train::Outcome outcome = [&] {
      TrainingDisplay display(globals.progress);
      return train::train({.graph = graph,
                           .profile = profile,
                           .layer_profiles = layer_profiles,
                           .patterns = patterns,
                           .train = training,
                           .test = test,
                           .recipe = recipe,
                           .pool = &pool,
                           .checkpoint = checkpoint,
                           .start = resume ? train::Job::Start::resume : train::Job::Start::fresh},
                          display.callbacks());
    }();

    const backends::IntGraph deployed = outcome.network.convert();
    backends::write_int_graph(o_.output / "model.json", deployed);
    backends::write_npy(o_.output / "labels.npy", labels_tensor(test));
    if (!o_.float_onnx.empty()) {
      backends::write_onnx_model(o_.float_onnx,
                                 backends::float_onnx(outcome.network.float_graph()));
    }
    History history{.profile = profile.name,
                    .profile_fingerprint = profile.fingerprint,
                    .network = graph.name,
                    .recipe = recipe,
                    .epochs = outcome.history,
                    .test_images = test.size(),
                    .float_accuracy = outcome.float_accuracy,
                    .contrast = {}};
    {
      QatEvaluation evaluation = evaluate_qat(outcome.network, deployed, test,
                                              o_.dump == "all" ? Keep::all : Keep::outputs, &pool);
      history.qat_accuracy = evaluation.accuracy.accuracy();
      if (o_.dump == "all") {
        write_dump(deployed, test, graph.preprocessing, evaluation.tensors);
      }
    }
    history.contrast =
        contrast_with_fake_quantize(outcome.network, test, graph.preprocessing, &pool);
    history.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const nlohmann::ordered_json json = to_json(history);
    backends::write_file_atomically(o_.output / "history.json", json.dump(2) + "\n");
    print_result(globals, history, json);
    return ExitCode::equal;
  }

 private:
  /// With the preprocessing of the options, which an ONNX file has no place for.
  backends::FloatGraph read_network() const {
    backends::FloatGraph graph = backends::read_float_network(o_.network);
    set_preprocessing("--mean", o_.mean, graph, graph.preprocessing.mean);
    set_preprocessing("--std", o_.std, graph, graph.preprocessing.std);
    for (const float std : o_.std) {
      if (!(std > 0)) throw UsageError(fmt::format("--std {}: expected numbers > 0", std));
    }
    if (graph.preprocessing.mean.empty() && graph.preprocessing.std.empty()) {
      note("the network names no preprocessing: pixel / 255 (--mean and --std change it)");
    }
    return graph;
  }
  static void set_preprocessing(const char* option, const std::vector<float>& values,
                                const backends::FloatGraph& graph, std::vector<float>& target) {
    if (values.empty()) return;
    if (static_cast<int64_t>(values.size()) != graph.input_shape[0]) {
      throw UsageError(fmt::format("{}: {} numbers; expected {}, one per input channel", option,
                                   values.size(), graph.input_shape[0]));
    }
    target = values;
  }

  train::Recipe resolve_recipe(const Globals& globals, const backends::FloatGraph& graph) const {
    train::Recipe recipe = o_.recipe;
    if (graph.trained() && float_epochs_->count() == 0) recipe.float_epochs = 0;
    recipe.seed = globals.seed;
    recipe.schedule = *train::schedule_from_string(o_.schedule);
    recipe.optimizer.kind = *train::optimizer_from_string(o_.optimizer);
    recipe.augmentation =
        o_.augment == "none" ? train::Augmentation::none : train::Augmentation::shift_flip;
    recipe.mode =
        o_.mode == "simulate" ? fused::ForwardMode::simulate : fused::ForwardMode::fake_quantize;
    recipe.grad =
        o_.grad == "bf16" ? fused::GradientArithmetic::bf16 : fused::GradientArithmetic::float32;
    try {
      train::check(recipe);
    } catch (const Error& error) {  // its places are the options' names
      if (error.code() == ErrorCode::unsupported) throw;
      throw UsageError(std::string("--") + error.what());
    }
    return recipe;
  }

  train::Dataset load(train::Split split, int64_t limit, const backends::FloatGraph& graph) const {
    train::Dataset data = train::load_dataset(o_.data, split, limit);
    train::check(data, graph.input_shape, classes_of(graph), o_.data.string());
    return data;
  }

  /// What `facsim run` reads (real, preprocessed), and what it must reproduce.
  void write_dump(const backends::IntGraph& deployed, const train::Dataset& test,
                  const backends::Preprocessing& preprocessing,
                  const backends::NamedTensors& evaluation) const {
    const std::string& name = deployed.tensors[static_cast<size_t>(deployed.inputs.at(0))].name;
    backends::write_npz(o_.output / "input.npz",
                        {{name, train::preprocess(test.images, preprocessing)}});
    backends::write_npz(o_.output / "evaluation.npz", evaluation);
  }

  void print_result(const Globals& globals, const History& history,
                    const nlohmann::ordered_json& json) const {
    if (globals.format == OutputFormat::json) {
      print_json(json);
      return;
    }
    const Contrast& contrast = history.contrast;
    TextTable table({{"result", TextTable::Align::left}, {"", TextTable::Align::right}});
    table.add_row({"profile", history.profile});
    table.add_row({"float accuracy", fmt::format("{:.2f} %", 100 * history.float_accuracy)});
    table.add_row({"QAT accuracy", fmt::format("{:.2f} %", 100 * history.qat_accuracy)});
    table.add_row({"fake-quantize codes that differ",
                   fmt::format("{} of {}", with_commas(contrast.mismatches()),
                               with_commas(contrast.compared()))});
    table.add_row({"fake-quantize class flips", with_commas(contrast.flips)});
    table.add_row({"deployed network", (o_.output / "model.json").string()});
    table.add_row({"seconds", fmt::format("{:.1f}", history.seconds)});
    print(table.text());
  }

  Options o_;
  CLI::Option* float_epochs_ = nullptr;
};

}  // namespace

std::unique_ptr<Command> make_qat_command() { return std::make_unique<QatCommand>(); }

}  // namespace facsim::cli
