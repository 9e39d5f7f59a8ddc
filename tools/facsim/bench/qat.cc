// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/bench/bench.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "fused/kernels/bf16.h"
#include "fused/train/memory.h"
#include "sim/core/error.h"
#include "tools/bench/torch_peer.h"
#include "tools/bench/training_step.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using bench::TrainingArithmetic;
using bench::TrainingStep;

struct Variant {
  const char* name;
  TrainingArithmetic arithmetic;
};
constexpr Variant kVariants[] = {{"facsim-float", TrainingArithmetic::float32},
                                 {"facsim-simulate", TrainingArithmetic::simulate},
                                 {"facsim-simulate-bf16", TrainingArithmetic::simulate_bf16},
                                 {"facsim-fake-quantize", TrainingArithmetic::fake_quantize}};

/// Images of the comparison with the norm, whose convolutions take a hundred times longer.
constexpr int64_t kComparedImages = 4;

struct TrainedNetwork {
  std::filesystem::path file;
  int64_t batch = 64;
};

/// FILE[:BATCH], FILE being a file or a name of the networks that come with the profiles.
TrainedNetwork parse_network(const std::string& text, const backends::ProfileSearch& search) {
  TrainedNetwork network;
  std::string name = text;
  if (const size_t colon = text.rfind(':'); colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, network.batch);
    if (error != std::errc{} || stop != end || network.batch < 2 || network.batch > 65536) {
      throw UsageError(
          fmt::format("--network \"{}\": expected FILE:BATCH, batch 2..65536", printable(text)));
    }
    name.resize(colon);
  }
  network.file = name;
  if (name.find('/') != std::string::npos || name.ends_with(".json")) return network;
  for (const std::filesystem::path& folder : search.folders) {
    const std::filesystem::path shipped = folder.parent_path() / "networks" / (name + ".json");
    if (std::filesystem::exists(shipped)) return {shipped, network.batch};
  }
  return network;
}

/// One side of a contest with what its result was compared with.
struct Trainee {
  std::string name;
  std::optional<TrainingStep> step;  ///< ours
  bench::StepComparison comparison;
  std::string compared_with;
};

class QatBench final : public Bench {
 public:
  void set_up(CLI::App& app) override {
    add_bench_options(app, options_);
    app.add_option("--network", networks_,
                   "FILE[:BATCH], or the name of a shipped network; repeatable")
        ->allow_extra_args(false)
        ->capture_default_str();
    app.add_option("--peers", peers_, "torch: PyTorch's float and QAT steps (python3-torch)")
        ->delimiter(',')
        ->check(one_of({"torch"}));
    app.add_option("--threads", threads_, "numbers of threads; default: -j")
        ->delimiter(',')
        ->check(CLI::Range(1, 256));
    app.footer(
        "Times a training step (forward, loss, backward, SGD) in float, through the simulator, "
        "with\n"
        "gradients in bf16 where the CPU has AVX-512 BF16, and under fake quantization, in turns\n"
        "with PyTorch's float step (the faster of its two layouts) and QAT step. PyTorch runs in "
        "a\n"
        "process of python3 (FACSIM_PYTHON names another).\n"
        "\n"
        "Every step of ours is made again and compared bit for bit (the loss, all gradients and "
        "all\n"
        "parameters after it): with one thread and the simulator on the scalar norm (4 images), "
        "and\n"
        "with another number of threads (the whole batch).\n"
        "\n"
        "Examples:\n"
        "  facsim bench qat --peers torch --threads 1,2\n"
        "  facsim bench qat --network fashion_cnn:128 --only float --format json\n"
        "  facsim bench qat --network my.json --profile cmsis-nn --rounds 5");
  }

  ExitCode run(const Globals& globals) override {
    fused::train::keep_freed_memory();
    const backends::Profile profile = globals.load_profile("tflite-micro");
    if (!fused::kernels::bf16_supported()) {
      note("this CPU has no AVX-512 BF16: facsim-simulate-bf16 is left out");
    }
    if (peers_.empty()) note("no peer: --peers torch compares with PyTorch");
    if (threads_.empty()) threads_ = {sim::ThreadPool(globals.threads).threads()};
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    using Align = TextTable::Align;
    TextTable table({{"network"},
                     {"batch", Align::right},
                     {"threads", Align::right},
                     {"step"},
                     {"median", Align::right},
                     {"minimum", Align::right},
                     {"x our float (median, min)", Align::right},
                     {"x PyTorch float", Align::right},
                     {"compared", Align::right},
                     {"mismatches", Align::right}});
    for (const std::string& text : networks_) {
      const TrainedNetwork network = parse_network(text, globals.search());
      const backends::FloatGraph graph = backends::read_float_graph(network.file);
      for (const int threads : threads_) {
        time_steps(network, graph, profile, threads, globals, table, list);
      }
    }
    bool exact = true;
    for (const nlohmann::ordered_json& one : list) {
      exact = exact && (!one.contains("mismatches") || one["mismatches"] == 0);
    }
    if (globals.format == OutputFormat::json) {
      print_json({{"profile", profile.name}, {"torch", torch_version_}, {"steps", list}});
    } else {
      print(table.text());
      if (!torch_version_.empty()) print(fmt::format("\nPyTorch {}\n", torch_version_));
    }
    return exact ? ExitCode::equal : ExitCode::different;
  }

 private:
  void time_steps(const TrainedNetwork& network, const backends::FloatGraph& graph,
                  const backends::Profile& profile, int threads, const Globals& globals,
                  TextTable& table, nlohmann::ordered_json& list) {
    sim::ThreadPool pool(threads);
    std::optional<bench::TorchPeer> torch;
    if (!peers_.empty()) torch.emplace(network.file, network.batch, threads);
    const bench::TrainingBatch batch = bench::make_training_batch(graph, network.batch);
    std::vector<Trainee> trainees;
    for (const Variant& variant : kVariants) {
      if (!options_.wanted(variant.name)) continue;
      const bool bf16 = variant.arithmetic == TrainingArithmetic::simulate_bf16;
      if (bf16 && !fused::kernels::bf16_supported()) continue;
      throw_if_interrupted();
      trainees.push_back({variant.name, std::nullopt, {}, {}});
      trainees.back().step.emplace(graph, profile, variant.arithmetic, batch, globals.isa, &pool);
      compare(trainees.back(), graph, profile, variant.arithmetic, batch, globals.isa, pool);
    }
    if (torch) {
      torch_version_ = torch->version();
      for (const std::string& name : torch->variants()) {
        if (options_.wanted(name)) trainees.push_back({name, std::nullopt, {}, {}});
      }
    }
    std::vector<bench::Contender> contenders;
    for (Trainee& trainee : trainees) {
      contenders.push_back({trainee.name, [&trainee, &torch] {
                              throw_if_interrupted();
                              if (trainee.step) {
                                trainee.step->step();
                              } else {
                                torch->step(trainee.name);
                              }
                            }});
    }
    bench::ContestOptions turns = options_.contest;
    if (threads > 1 && torch) turns.rest_ms = 20;  // the other side's threads fall asleep
    report(network, graph, threads, trainees, bench::contest(contenders, turns), table, list);
  }

  /// The step with the simulator on its norm, and the step on another number of threads. (--isa
  /// chooses kernels of the simulator: those of gradients are this CPU's in both.)
  static void compare(Trainee& trainee, const backends::FloatGraph& graph,
                      const backends::Profile& profile, TrainingArithmetic arithmetic,
                      const bench::TrainingBatch& batch, sim::Isa isa, sim::ThreadPool& pool) {
    bench::TrainingBatch few = batch;
    const auto images = std::min<int64_t>(kComparedImages, batch.images.shape()[0]);
    few.images = batch.images.slice(0, images);
    few.labels.resize(static_cast<size_t>(images));
    sim::ThreadPool one(1), other(pool.threads() == 1 ? 3 : 1);
    const auto add = [&](const bench::TrainingBatch& data, sim::Isa other_isa,
                         sim::ThreadPool& threads) {
      TrainingStep a(graph, profile, arithmetic, data, isa, &pool);
      TrainingStep b(graph, profile, arithmetic, data, other_isa, &threads);
      const bench::StepComparison comparison = bench::compare_steps(a, b);
      trainee.comparison.compared += comparison.compared;
      trainee.comparison.mismatches += comparison.mismatches;
    };
    add(few, sim::Isa::scalar, one);
    add(batch, isa, other);
    trainee.compared_with = fmt::format("scalar, 1 thread, {} images; {} threads, {} images",
                                        images, other.threads(), batch.images.shape()[0]);
  }

  static void report(const TrainedNetwork& network, const backends::FloatGraph& graph, int threads,
                     const std::vector<Trainee>& trainees, const std::vector<bench::Times>& times,
                     TextTable& table, nlohmann::ordered_json& list) {
    const bench::Times* our_float = nullptr;
    const bench::Times* torch_float = nullptr;  // whichever layout is faster
    for (size_t i = 0; i < trainees.size(); ++i) {
      const std::string& name = trainees[i].name;
      if (name == "facsim-float") our_float = &times[i];
      if (!name.starts_with("torch-float")) continue;
      if (torch_float == nullptr || times[i].median() < torch_float->median()) {
        torch_float = &times[i];
      }
    }
    for (size_t i = 0; i < trainees.size(); ++i) {
      const Trainee& trainee = trainees[i];
      nlohmann::ordered_json one = {{"network", graph.name},
                                    {"batch", network.batch},
                                    {"threads", threads},
                                    {"step", trainee.name}};
      const auto beside = [&](const char* peer, const bench::Times* other) -> std::string {
        if (other == nullptr || other == &times[i]) return "";
        const bench::Ratio r = bench::ratio(times[i], *other);
        one["ratio"][peer] = {{"median", r.median}, {"minimum", r.minimum}};
        return fmt::format("{:.2f} {:.2f}", r.median, r.minimum);
      };
      const std::string by_float = beside("facsim-float", our_float);
      const std::string by_torch = beside("torch-float", torch_float);
      if (trainee.step) {
        one["compared"] = trainee.comparison.compared;
        one["mismatches"] = trainee.comparison.mismatches;
        one["compared_with"] = trainee.compared_with;
      }
      one.update(times_json(times[i]));
      list.push_back(std::move(one));
      table.add_row({graph.name, fmt::format("{}", network.batch), fmt::format("{}", threads),
                     trainee.name, time_text(times[i].median()), time_text(times[i].minimum()),
                     by_float, by_torch,
                     trainee.step ? with_commas(trainee.comparison.compared) : "-",
                     trainee.step ? fmt::format("{}", trainee.comparison.mismatches) : "-"});
    }
  }

  BenchOptions options_;
  std::vector<std::string> networks_{"fashion_cnn:64", "cifar_cnn:64", "resnet18_cifar:32"};
  std::vector<std::string> peers_;
  std::vector<int> threads_;
  std::string torch_version_;
};

}  // namespace

std::unique_ptr<Bench> make_qat_bench() { return std::make_unique<QatBench>(); }

}  // namespace facsim::cli
