// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/bench/bench.h"

#include <cmath>
#include <filesystem>
#include <map>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "backends/io/npy.h"
#include "tools/bench/runner.h"
#include "tools/facsim/output.h"
#include "tools/facsim/report/charts.h"
#include "tools/facsim/report/page.h"

namespace facsim::cli {

namespace {

constexpr int64_t kChannels = 64, kExtent = 28, kKernel = 3;
constexpr int64_t kFactors[] = {1, 2, 4, 8};
constexpr double kMostGrowth = 1.15;  ///< times the base's time per multiply-accumulate

/// A layer of the base's kind with more of one thing.
struct ScaledLayer {
  std::string dimension;  ///< "batch" or "channels"
  int64_t factor = 1;
  bench::LayerGeometry geometry;
};

/// The base first; larger ones after it.
std::vector<ScaledLayer> scaled_layers() {
  std::vector<ScaledLayer> layers;
  for (const char* dimension : {"batch", "channels"}) {
    for (const int64_t factor : kFactors) {
      if (factor == 1 && !layers.empty()) continue;
      const bool batch = std::string_view(dimension) == "batch";
      const int64_t channels = batch ? kChannels : kChannels * factor;
      layers.push_back({factor == 1 ? "base" : dimension,
                        factor,
                        {fmt::format("3x3_{}_{}", channels, kExtent), "3x3", batch ? factor : 1,
                         kExtent, channels, channels, kKernel, 1, 1}});
    }
  }
  return layers;
}

/// Time per multiply-accumulate relative to the base, by dimension and factor.
using Growth = std::map<std::string, std::map<int64_t, double>>;

std::string growth_chart(const std::string& profile, const Growth& growth) {
  LineChart chart{.title = "Time per multiply-accumulate under " + profile,
                  .series = {},
                  .x_label = "times the base's batch or channels",
                  .y_scale = 1,
                  .y_unit = "",
                  .divider = 0,
                  .before_divider = {},
                  .after_divider = {},
                  .x_ticks = {},
                  .bar = kMostGrowth};
  for (const int64_t factor : kFactors) chart.x_ticks.push_back(fmt::format("{}x", factor));
  for (const auto& [dimension, by_factor] : growth) {
    LineSeries series{dimension, {}};
    for (const int64_t factor : kFactors) {
      const auto at = by_factor.find(factor);
      series.y.push_back(factor == 1 ? 1 : at == by_factor.end() ? std::nan("") : at->second);
    }
    chart.series.push_back(std::move(series));
  }
  return "<section>\n<h2>" + escape_html(chart.title) + "</h2>\n" + line_chart(chart) +
         fmt::format(
             "<p class=\"dim\">Relative to a 3x3 convolution of {0} to {0} channels at "
             "{1}x{1}, batch 1, by the fastest sample of each. Dashed: {2}.</p>\n"
             "</section>\n",
             kChannels, kExtent, kMostGrowth);
}

class ScalingBench final : public Bench {
 public:
  void set_up(CLI::App& app) override {
    add_bench_options(app, options_);
    app.add_option("--html", html_, "also write a page with the plot to this file");
    app.footer(
        "Times a 3x3 convolution of 64 channels at 28x28 and the same with 2, 4 and 8 times the\n"
        "batch or the channels, in turns, under the profiles onednn (float32 scale) and\n"
        "tflite-micro (fixed-point double rounding) or --profile. \"x base\" is the time per\n"
        "multiply-accumulate over that of the base in the same run: 1 is a cost that grows with\n"
        "the work. Every output is compared with the scalar norm.\n"
        "\n"
        "Examples:\n"
        "  facsim bench scaling -j 1\n"
        "  facsim bench scaling --html scaling.html --format json");
  }

  ExitCode run(const Globals& globals) override {
    sim::ThreadPool pool(globals.threads);
    std::vector<TimedProfile> profiles = timed_profiles();
    if (!globals.profile.empty()) profiles = {TimedProfile{globals.profile, sim::kInt8}};
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    using Align = TextTable::Align;
    TextTable table({{"profile"},
                     {"layer"},
                     {"batch", Align::right},
                     {"more of"},
                     {"median", Align::right},
                     {"minimum", Align::right},
                     {"GMAC/s", Align::right},
                     {"x base (median, min)", Align::right},
                     {"mismatches", Align::right}});
    bool exact = true;
    std::string sections;
    for (const auto& [name, activation] : profiles) {
      const backends::Profile profile = globals.profile.empty()
                                            ? backends::load_profile(name, globals.search())
                                            : globals.load_profile();
      const Growth growth = time_layers(profile, activation, globals.isa, pool, table, list);
      sections += growth_chart(profile.name, growth);
    }
    for (const nlohmann::ordered_json& one : list) exact = exact && one["mismatches"] == 0;
    if (!html_.empty()) {
      backends::write_file_atomically(
          html_,
          html_page("Cost of a convolution",
                    fmt::format("Threads: {}; {} rounds", pool.threads(), options_.contest.rounds),
                    sections));
    }
    if (globals.format == OutputFormat::json) {
      print_json({{"threads", pool.threads()}, {"bar", kMostGrowth}, {"scaling", list}});
    } else {
      print(table.text());
      print(fmt::format("\nbar: x base at most {}; threads: {}\n", kMostGrowth, pool.threads()));
    }
    return exact ? ExitCode::equal : ExitCode::different;
  }

 private:
  Growth time_layers(const backends::Profile& profile, sim::IntType activation, sim::Isa isa,
                     sim::ThreadPool& pool, TextTable& table, nlohmann::ordered_json& list) const {
    std::vector<ScaledLayer> layers = scaled_layers();
    std::erase_if(layers, [&](const ScaledLayer& layer) {
      return layer.dimension != "base" && !options_.wanted(layer.geometry.name);
    });
    std::vector<std::unique_ptr<bench::LayerRunner>> runners;
    std::vector<bench::Contender> contenders;
    std::vector<std::unique_ptr<bench::LayerRunner>> norms;
    for (const ScaledLayer& layer : layers) {
      const bench::LayerCase data = bench::make_layer_case(layer.geometry, activation, 1);
      norms.push_back(bench::make_facsim_runner(data, profile, sim::Isa::scalar, &pool));
      norms.back()->run();
      runners.push_back(bench::make_facsim_runner(data, profile, isa, &pool));
      bench::LayerRunner* runner = runners.back().get();
      contenders.push_back({layer.geometry.name, [runner] { runner->run(); }});
    }
    const std::vector<bench::Times> times = bench::contest(contenders, options_.contest);
    std::vector<int64_t> mismatches;  // of the last timed runs
    for (size_t i = 0; i < runners.size(); ++i) {
      mismatches.push_back(count_mismatches(runners[i]->output(), norms[i]->output()));
    }
    const auto base_macs = static_cast<double>(layers.front().geometry.macs());
    Growth growth;
    for (size_t i = 0; i < layers.size(); ++i) {
      const ScaledLayer& layer = layers[i];
      const auto macs = static_cast<double>(layer.geometry.macs());
      bench::Ratio ratio = bench::ratio(times[i], times.front());
      ratio.median *= base_macs / macs;
      ratio.minimum *= base_macs / macs;
      if (i > 0) growth[layer.dimension][layer.factor] = ratio.minimum;
      const std::string more =
          i == 0 ? layer.dimension : fmt::format("{} {}x", layer.dimension, layer.factor);
      table.add_row({profile.name, layer.geometry.name, fmt::format("{}", layer.geometry.batch),
                     more, time_text(times[i].median()), time_text(times[i].minimum()),
                     fmt::format("{:.1f}", macs / times[i].minimum()),
                     fmt::format("{:.2f} {:.2f}", ratio.median, ratio.minimum),
                     fmt::format("{}", mismatches[i])});
      nlohmann::ordered_json one = {
          {"profile", profile.name},
          {"layer", layer.geometry.name},
          {"dimension", layer.dimension},
          {"factor", layer.factor},
          {"batch", layer.geometry.batch},
          {"macs", layer.geometry.macs()},
          {"time_per_mac_over_base", {{"median", ratio.median}, {"minimum", ratio.minimum}}},
          {"mismatches", mismatches[i]}};
      one.update(times_json(times[i]));
      list.push_back(std::move(one));
    }
    return growth;
  }

  BenchOptions options_;
  std::filesystem::path html_;
};

}  // namespace

std::unique_ptr<Bench> make_scaling_bench() { return std::make_unique<ScalingBench>(); }

}  // namespace facsim::cli
