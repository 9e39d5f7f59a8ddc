// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/bench/bench.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "tools/bench/requantize_cases.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

class RequantizeBench final : public Bench {
 public:
  void set_up(CLI::App& app) override {
    add_bench_options(app, options_);
    app.footer(
        "Times the requantization of 8192 accumulators of 64 channels in the cache, each program\n"
        "in the form that runs for it, and compares with the norm.\n\n"
        "Examples:\n"
        "  facsim bench requantize\n"
        "  facsim bench requantize --only double --isa avx2 --format json");
  }

  ExitCode run(const Globals& globals) override {
    std::vector<bench::RequantizeCase> cases = bench::requantize_cases();
    std::erase_if(cases, [&](const bench::RequantizeCase& c) { return !options_.wanted(c.name); });
    std::vector<Tensor> outputs;
    std::vector<bench::Contender> contenders;
    for (const bench::RequantizeCase& c : cases) {
      outputs.emplace_back(c.norm.output_type().storage(), shape_of());
      contenders.push_back({c.name, [&c, out = outputs.back(), &globals]() mutable {
                              requantize(c, globals.isa, out);
                            }});
    }
    const std::vector<bench::Times> times = bench::contest(contenders, options_.contest);
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    using Align = TextTable::Align;
    TextTable table({{"program"},
                     {"form"},
                     {"median", Align::right},
                     {"minimum", Align::right},
                     {"elements/ns", Align::right},
                     {"mismatches", Align::right}});
    bool exact = true;
    for (size_t i = 0; i < cases.size(); ++i) {
      Tensor norm(outputs[i].dtype(), shape_of());
      requantize(cases[i], sim::Isa::scalar, norm);
      const int64_t mismatches = count_mismatches(outputs[i], norm);
      exact = exact && mismatches == 0;
      const double rate = static_cast<double>(norm.numel()) / times[i].minimum();
      table.add_row({cases[i].name, std::string(cases[i].kernel.form()),
                     time_text(times[i].median()), time_text(times[i].minimum()),
                     fmt::format("{:.1f}", rate), fmt::format("{}", mismatches)});
      nlohmann::ordered_json one = {{"program", cases[i].name},
                                    {"form", cases[i].kernel.form()},
                                    {"elements", norm.numel()},
                                    {"mismatches", mismatches}};
      one.update(times_json(times[i]));
      list.push_back(std::move(one));
    }
    if (globals.format == OutputFormat::json) {
      print_json({{"requantize", list}});
    } else {
      print(table.text());
    }
    return exact ? ExitCode::equal : ExitCode::different;
  }

 private:
  static Shape shape_of() { return {bench::kRequantizeRows, bench::kRequantizeChannels}; }

  static void requantize(const bench::RequantizeCase& c, sim::Isa isa, Tensor& out) {
    c.kernel.run(c.acc.data(), bench::kRequantizeChannels, bench::kRequantizeRows, 0,
                 bench::kRequantizeChannels, out.raw(), bench::kRequantizeChannels, isa, false);
  }

  BenchOptions options_;
};

}  // namespace

std::unique_ptr<Bench> make_requantize_bench() { return std::make_unique<RequantizeBench>(); }

}  // namespace facsim::cli
