// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/bench/bench.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "backends/lower/lower.h"
#include "sim/graph/executor.h"
#include "tools/bench/nets.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

sim::ExecutorOptions executor_options(sim::Isa isa, int threads) {
  sim::ExecutorOptions options;
  options.isa = isa;
  options.threads = threads;
  return options;
}

class NetsBench final : public Bench {
 public:
  void set_up(CLI::App& app) override {
    add_bench_options(app, options_);
    app.add_option("--batch", batches_, "images per run")
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

  ExitCode run(const Globals& globals) override {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    using Align = TextTable::Align;
    TextTable table({{"network"},
                     {"batch", Align::right},
                     {"profile"},
                     {"per image, median", Align::right},
                     {"minimum", Align::right},
                     {"GMAC/s", Align::right},
                     {"mismatches", Align::right}});
    bool exact = true;
    for (const bench::NetGeometry& geometry : bench::bench_nets()) {
      if (!options_.wanted(geometry.name)) continue;
      for (const int64_t batch : batches_) run_net(geometry, batch, globals, table, list);
    }
    for (const nlohmann::ordered_json& one : list) exact = exact && one["mismatches"] == 0;
    if (globals.format == OutputFormat::json) {
      print_json({{"threads", globals.threads}, {"nets", list}});
    } else {
      print(table.text());
    }
    return exact ? ExitCode::equal : ExitCode::different;
  }

 private:
  void run_net(const bench::NetGeometry& geometry, int64_t batch, const Globals& globals,
               TextTable& table, nlohmann::ordered_json& list) const {
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
      nlohmann::ordered_json one = {{"network", geometry.name},
                                    {"batch", batch},
                                    {"profile", contenders[i].name},
                                    {"macs_per_image", macs},
                                    {"mismatches", mismatches[i]}};
      one.update(times_json(times[i]));
      list.push_back(std::move(one));
    }
  }

  BenchOptions options_;
  std::vector<int64_t> batches_{1};
};

}  // namespace

std::unique_ptr<Bench> make_nets_bench() { return std::make_unique<NetsBench>(); }

}  // namespace facsim::cli
