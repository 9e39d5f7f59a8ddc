// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/lower/lower.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"
#include "tools/bench/contest.h"
#include "tools/bench/nets.h"
#include "tools/bench/peak.h"
#include "tools/bench/runner.h"
#include "tools/facsim/command.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using BenchJson = nlohmann::ordered_json;
using Align = TextTable::Align;

/// What the timed code computed, against the scalar norm or a peer's output.
int64_t count_mismatches(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return std::max(a.numel(), b.numel());
  int64_t count = 0;
  for (int64_t i = 0; i < a.numel(); ++i) count += a.int_at(i) != b.int_at(i) ? 1 : 0;
  return count;
}

std::string time_text(double ns) {
  return ns < 1e6 ? fmt::format("{:.1f} us", ns / 1e3) : fmt::format("{:.2f} ms", ns / 1e6);
}

BenchJson times_json(const bench::Times& times) {
  return {{"median_ns", times.median()}, {"minimum_ns", times.minimum()}, {"samples_ns", times.ns}};
}

std::vector<bench::Peer> chosen_peers(const std::vector<std::string>& names) {
  std::vector<bench::Peer> chosen;
  const std::vector<bench::Peer> linked = bench::linked_peers();
  for (const std::string& name : names) {
    const auto at = std::find_if(linked.begin(), linked.end(),
                                 [&](const bench::Peer& peer) { return peer.name == name; });
    if (at == linked.end()) {
      std::string have;
      for (const bench::Peer& peer : linked) have += (have.empty() ? "" : ", ") + peer.name;
      throw Error({ErrorCode::unsupported, "--peers", name,
                   have.empty() ? "a build with -DFACSIM_BENCH_PEERS=ON" : "one of " + have,
                   "tools/bench/run.sh builds with the peers that are installed"});
    }
    chosen.push_back(*at);
  }
  return chosen;
}

/// What all benches share: rounds, the pool, and the profiles that are timed.
struct BenchOptions {
  bench::ContestOptions contest;
  std::vector<std::string> peers;
  std::vector<int64_t> batches{1};
  std::string only;
};

void add_shared_options(CLI::App& app, BenchOptions& options) {
  app.add_option("--rounds", options.contest.rounds, "turns of each contender")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--sample-ms", options.contest.sample_ms, "least time of a sample")
      ->check(CLI::Range(0.0, 10000.0))
      ->capture_default_str();
  app.add_option("--only", options.only, "those whose name contains this");
}

// --- layers ---------------------------------------------------------------------------------

/// One layer's contenders: ours under each profile, and the peers.
struct LayerContest {
  std::vector<std::string> names;
  std::vector<std::unique_ptr<bench::LayerRunner>> runners;
  std::vector<int64_t> mismatches;  ///< of ours from the norm; of peers from their profile's bits
  std::vector<bench::Times> times;

  size_t index(const std::string& name) const {
    return static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  }
};

class LayersBench {
 public:
  void set_up(CLI::App& app) {
    add_shared_options(app, options_);
    app.add_option("--peers", options_.peers, "libraries to compare with: onednn, xnnpack")
        ->delimiter(',');
    app.add_option("--batch", options_.batches, "images per run")
        ->delimiter(',')
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    app.footer(
        "Times convolution and linear layers under the profiles onednn (float32 scale) and\n"
        "tflite-micro (fixed-point double rounding) in turns with the peers, and compares every\n"
        "output with the scalar norm, the peers' with the profile of theirs.\n\n"
        "Examples:\n"
        "  facsim bench layers --peers onednn,xnnpack -j 1\n"
        "  facsim bench layers --only 3x3 --batch 1,8 --format json");
  }

  ExitCode run(const Globals& globals) {
    const std::vector<bench::Peer> peers = chosen_peers(options_.peers);
    profiles_ = {"onednn", "tflite-micro"};
    for (const bench::Peer& peer : peers) {
      if (std::find(profiles_.begin(), profiles_.end(), peer.profile) == profiles_.end()) {
        profiles_.push_back(peer.profile);
      }
    }
    const double peak = bench::measure_core_peak().int8_macs;
    sim::ThreadPool pool(globals.threads);
    BenchJson list = BenchJson::array();
    TextTable table({{"layer"},
                     {"batch", Align::right},
                     {"contender"},
                     {"median", Align::right},
                     {"minimum", Align::right},
                     {"GMAC/s", Align::right},
                     {"% of peak", Align::right},
                     {"x peer (median, min)"},
                     {"mismatches", Align::right}});
    bool exact = true;
    std::map<std::string, std::vector<double>> ratios;  // by "kind profile/peer"
    for (bench::LayerGeometry geometry : bench::bench_layers()) {
      if (geometry.name.find(options_.only) == std::string::npos) continue;
      const int64_t own_batch = geometry.batch;
      for (const int64_t batch : options_.batches) {
        geometry.batch = own_batch * batch;
        const LayerContest contest = contest_of(geometry, peers, globals, pool);
        for (size_t i = 0; i < contest.names.size(); ++i) {
          const bench::Times& times = contest.times[i];
          const double macs = static_cast<double>(geometry.macs());
          const double rate = macs / times.minimum();
          BenchJson one = {{"layer", geometry.name},
                           {"kind", geometry.kind},
                           {"batch", geometry.batch},
                           {"contender", contest.names[i]},
                           {"implementation", contest.runners[i]->implementation()},
                           {"macs", geometry.macs()},
                           {"mismatches", contest.mismatches[i]}};
          one.update(times_json(times));
          exact = exact && contest.mismatches[i] == 0;
          std::string beside;
          for (const bench::Peer& peer : peers) {
            if (i >= profiles_.size()) continue;
            const bench::Ratio r = bench::ratio(times, contest.times[contest.index(peer.name)]);
            one["ratio"][peer.name] = {{"median", r.median}, {"minimum", r.minimum}};
            beside += fmt::format("{}{} {:.2f} {:.2f}", beside.empty() ? "" : ", ", peer.name,
                                  r.median, r.minimum);
            ratios[geometry.kind + ": " + contest.names[i] + " / " + peer.name].push_back(r.median);
          }
          const double threads = pool.threads();
          table.add_row({geometry.name, fmt::format("{}", geometry.batch), contest.names[i],
                         time_text(times.median()), time_text(times.minimum()),
                         fmt::format("{:.1f}", rate),
                         peak > 0 ? fmt::format("{:.0f}", 100e9 * rate / (peak * threads)) : "-",
                         beside, fmt::format("{}", contest.mismatches[i])});
          list.push_back(std::move(one));
        }
      }
    }
    BenchJson means = BenchJson::object();
    for (const auto& [name, values] : ratios) means[name] = bench::geometric_mean(values);
    if (globals.format == OutputFormat::json) {
      print_json({{"threads", pool.threads()},
                  {"vnni_peak_macs_per_second", peak},
                  {"layers", list},
                  {"geometric_mean_of_median_ratios", means}});
    } else {
      print(table.text());
      print(
          fmt::format("\nVNNI peak of one core, measured in this run: {:.0f} GMAC/s; threads: {}\n",
                      peak / 1e9, pool.threads()));
      for (const auto& [name, mean] : means.items()) {
        print(fmt::format("geometric mean, {}: {:.3f}\n", name, mean.get<double>()));
      }
    }
    return exact ? ExitCode::equal : ExitCode::different;
  }

 private:
  LayerContest contest_of(const bench::LayerGeometry& geometry,
                          const std::vector<bench::Peer>& peers, const Globals& globals,
                          sim::ThreadPool& pool) const {
    LayerContest contest;
    for (const std::string& name : profiles_) {
      const sim::IntType activation = name == "onednn" ? sim::kUint8 : sim::kInt8;
      const bench::LayerCase layer = bench::make_layer_case(geometry, activation, 1);
      const backends::Profile profile = backends::load_profile(name, globals.search());
      contest.names.push_back("facsim:" + name);
      contest.runners.push_back(bench::make_facsim_runner(layer, profile, globals.isa, &pool));
      const auto norm = bench::make_facsim_runner(layer, profile, sim::Isa::scalar, &pool);
      norm->run();
      contest.runners.back()->run();
      contest.mismatches.push_back(
          count_mismatches(contest.runners.back()->output(), norm->output()));
    }
    for (const bench::Peer& peer : peers) {
      const bench::LayerCase layer = bench::make_layer_case(geometry, peer.activation, 1);
      contest.names.push_back(peer.name);
      contest.runners.push_back(peer.make(layer, pool.threads()));
      contest.runners.back()->run();
      const size_t ours = contest.index("facsim:" + peer.profile);
      contest.mismatches.push_back(
          count_mismatches(contest.runners.back()->output(), contest.runners[ours]->output()));
    }
    std::vector<bench::Contender> contenders;
    for (size_t i = 0; i < contest.names.size(); ++i) {
      bench::LayerRunner* runner = contest.runners[i].get();
      contenders.push_back({contest.names[i], [runner] { runner->run(); }});
    }
    contest.times = bench::contest(contenders, options_.contest);
    return contest;
  }

  BenchOptions options_;
  std::vector<std::string> profiles_;
};

// --- nets -----------------------------------------------------------------------------------

sim::ExecutorOptions executor_options(sim::Isa isa, int threads) {
  sim::ExecutorOptions options;
  options.isa = isa;
  options.threads = threads;
  return options;
}

class NetsBench {
 public:
  void set_up(CLI::App& app) {
    add_shared_options(app, options_);
    app.add_option("--batch", options_.batches, "images per run")
        ->delimiter(',')
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    app.footer(
        "Times whole networks with random int8 weights under onnxruntime-cpu (float32 scale)\n"
        "and tflite-micro (fixed-point double rounding).\n\n"
        "Examples:\n"
        "  facsim bench nets -j 1\n"
        "  facsim bench nets --only mobilenet --batch 1,8 -j 2 --format json");
  }

  ExitCode run(const Globals& globals) {
    BenchJson list = BenchJson::array();
    TextTable table({{"network"},
                     {"batch", Align::right},
                     {"profile"},
                     {"per image, median", Align::right},
                     {"minimum", Align::right},
                     {"GMAC/s", Align::right},
                     {"mismatches", Align::right}});
    bool exact = true;
    for (const bench::NetGeometry& geometry : bench::bench_nets()) {
      if (geometry.name.find(options_.only) == std::string::npos) continue;
      for (const int64_t batch : options_.batches) run_net(geometry, batch, globals, table, list);
    }
    for (const BenchJson& one : list) exact = exact && one["mismatches"] == 0;
    if (globals.format == OutputFormat::json) {
      print_json({{"threads", globals.threads}, {"nets", list}});
    } else {
      print(table.text());
    }
    return exact ? ExitCode::equal : ExitCode::different;
  }

 private:
  void run_net(const bench::NetGeometry& geometry, int64_t batch, const Globals& globals,
               TextTable& table, BenchJson& list) const {
    std::vector<std::unique_ptr<sim::Executor>> executors;
    std::vector<Tensor> images;
    std::vector<bench::Contender> contenders;
    std::vector<int64_t> mismatches;
    int64_t macs = 0;
    for (const char* name : {"onnxruntime-cpu", "tflite-micro"}) {
      const sim::IntType type = sim::kInt8;
      const backends::Profile profile = backends::load_profile(name, globals.search());
      const sim::Graph graph =
          backends::lower(bench::make_net(geometry, profile, type, 1), profile);
      Tensor input =
          Tensor::uninitialized(type.storage(), {batch, geometry.extent, geometry.extent, 3});
      auto* bytes = static_cast<uint8_t*>(input.raw());
      for (int64_t i = 0; i < input.numel(); ++i)
        bytes[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
      macs = 0;
      for (const sim::Graph::Node& node : graph.nodes) {
        std::vector<Shape> shapes;
        for (const int t : node.inputs)
          shapes.push_back(graph.tensors[static_cast<size_t>(t)].shape);
        macs += node.op->macs(shapes);
      }
      executors.push_back(
          std::make_unique<sim::Executor>(graph, executor_options(globals.isa, globals.threads)));
      const sim::Executor norm(graph, executor_options(sim::Isa::scalar, globals.threads));
      const Tensor one = input.slice(0, 1);
      mismatches.push_back(
          count_mismatches(executors.back()->run({one}).outputs[0], norm.run({one}).outputs[0]));
      images.push_back(input);
      contenders.push_back(
          {name, [executor = executors.back().get(), input] { executor->run({input}); }});
    }
    const std::vector<bench::Times> times = bench::contest(contenders, options_.contest);
    for (size_t i = 0; i < contenders.size(); ++i) {
      const double per_image = 1.0 / static_cast<double>(batch);
      table.add_row(
          {geometry.name, fmt::format("{}", batch), contenders[i].name,
           time_text(times[i].median() * per_image), time_text(times[i].minimum() * per_image),
           fmt::format("{:.1f}", static_cast<double>(macs) / (times[i].minimum() * per_image)),
           fmt::format("{}", mismatches[i])});
      BenchJson one = {{"network", geometry.name},
                       {"batch", batch},
                       {"profile", contenders[i].name},
                       {"macs_per_image", macs},
                       {"mismatches", mismatches[i]}};
      one.update(times_json(times[i]));
      list.push_back(std::move(one));
    }
  }

  BenchOptions options_;
};

class BenchCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.require_subcommand(1);
    app.footer(
        "Examples:\n"
        "  facsim bench layers --peers onednn,xnnpack\n"
        "  facsim bench nets --batch 1,8 --format json");
    layers_app_ = app.add_subcommand("layers", "convolution and linear layers, beside peers");
    layers_.set_up(*layers_app_);
    nets_app_ = app.add_subcommand("nets", "whole networks");
    nets_.set_up(*nets_app_);
  }

  ExitCode run(const Globals& globals) override {
    if (layers_app_->parsed()) return layers_.run(globals);
    return nets_.run(globals);
  }

 private:
  CLI::App* layers_app_ = nullptr;
  CLI::App* nets_app_ = nullptr;
  LayersBench layers_;
  NetsBench nets_;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() { return std::make_unique<BenchCommand>(); }

}  // namespace facsim::cli
