// SPDX-License-Identifier: Apache-2.0
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "tools/facsim/bench/bench.h"

namespace facsim::cli {

namespace {

class BenchCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.require_subcommand(1);
    app.footer(
        "Examples:\n"
        "  facsim bench layers --peers onednn,xnnpack\n"
        "  facsim bench nets --batch 1,8 --format json\n"
        "  facsim bench requantize\n"
        "  facsim bench scaling --html scaling.html\n"
        "  facsim bench qat --peers torch --threads 1,2");
    add(app, "layers", "convolution and linear layers, beside peers", make_layers_bench());
    add(app, "nets", "whole networks with random weights", make_nets_bench());
    add(app, "requantize", "requantization alone, by program", make_requantize_bench());
    add(app, "scaling", "how a layer's time grows with batch and channels", make_scaling_bench());
    add(app, "qat", "training steps, in float and through the simulator", make_qat_bench());
  }

  ExitCode run(const Globals& globals) override {
    for (const auto& [app, bench] : benches_) {
      if (app->parsed()) return bench->run(globals);
    }
    return ExitCode::usage;
  }

 private:
  void add(CLI::App& app, const char* name, const char* summary, std::unique_ptr<Bench> bench) {
    CLI::App* sub = app.add_subcommand(name, summary);
    bench->set_up(*sub);
    benches_.emplace_back(sub, std::move(bench));
  }

  std::vector<std::pair<CLI::App*, std::unique_ptr<Bench>>> benches_;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() { return std::make_unique<BenchCommand>(); }

}  // namespace facsim::cli
