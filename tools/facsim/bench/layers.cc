// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/bench/bench.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <thread>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "sim/core/error.h"
#include "tools/bench/peak.h"
#include "tools/bench/runner.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

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

/// As the kernel calls it; empty where it does not say.
std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

/// Of the layers of one kind.
struct Ratios {
  std::vector<double> medians, minima;
};

class LayersBench final : public Bench {
 public:
  void set_up(CLI::App& app) override {
    add_bench_options(app, options_);
    app.add_option("--peers", peers_, "libraries to compare with: onednn, xnnpack")->delimiter(',');
    app.add_option("--batch", batches_, "images per run")
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

  ExitCode run(const Globals& globals) override {
    const std::vector<bench::Peer> peers = chosen_peers(peers_);
    profiles_ = timed_profiles();
    for (const bench::Peer& peer : peers) {
      const bool known = std::any_of(profiles_.begin(), profiles_.end(), [&](const auto& profile) {
        return profile.name == peer.profile;
      });
      if (!known) profiles_.push_back({peer.profile, peer.activation});
    }
    const double peak = bench::measure_core_peak().int8_macs;
    sim::ThreadPool pool(globals.threads);
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    using Align = TextTable::Align;
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
    std::map<std::string, Ratios> ratios;  // by "kind: profile / peer"
    for (bench::LayerGeometry geometry : bench::bench_layers()) {
      if (!options_.wanted(geometry.name)) continue;
      const int64_t own_batch = geometry.batch;
      for (const int64_t batch : batches_) {
        geometry.batch = own_batch * batch;
        const LayerContest contest = contest_of(geometry, peers, globals, pool);
        for (size_t i = 0; i < contest.names.size(); ++i) {
          const bench::Times& times = contest.times[i];
          const double macs = static_cast<double>(geometry.macs());
          const double rate = macs / times.minimum();
          const double share = peak > 0 ? 1e9 * rate / (peak * pool.threads()) : 0;
          const bool ours = i < profiles_.size();
          const TimedProfile of_peer = ours ? TimedProfile()
                                            : TimedProfile{peers[i - profiles_.size()].profile,
                                                           peers[i - profiles_.size()].activation};
          const TimedProfile& timed = ours ? profiles_[i] : of_peer;
          nlohmann::ordered_json one = {{"name", geometry.name},
                                        {"kind", geometry.kind},
                                        {"batch", geometry.batch},
                                        {"threads", pool.threads()},
                                        {"activation", sim::to_string(timed.activation)},
                                        {"profile", timed.name},
                                        {"ns", times.median()},
                                        {"gmacs", macs / times.median()},
                                        {"peak_fraction", share * times.minimum() / times.median()},
                                        {"contender", contest.names[i]},
                                        {"implementation", contest.runners[i]->implementation()},
                                        {"macs", geometry.macs()},
                                        {"mismatches", contest.mismatches[i]}};
          one.update(times_json(times));
          exact = exact && contest.mismatches[i] == 0;
          std::string beside;
          for (const bench::Peer& peer : peers) {
            if (!ours) continue;
            const bench::Ratio r = bench::ratio(times, contest.times[contest.index(peer.name)]);
            one["ratio_" + peer.name] = r.median;
            one["ratio_" + peer.name + "_minimum"] = r.minimum;
            beside += fmt::format("{}{} {:.2f} {:.2f}", beside.empty() ? "" : ", ", peer.name,
                                  r.median, r.minimum);
            Ratios& of_kind = ratios[geometry.kind + ": " + contest.names[i] + " / " + peer.name];
            of_kind.medians.push_back(r.median);
            of_kind.minima.push_back(r.minimum);
          }
          table.add_row({geometry.name, fmt::format("{}", geometry.batch), contest.names[i],
                         time_text(times.median()), time_text(times.minimum()),
                         fmt::format("{:.1f}", rate),
                         peak > 0 ? fmt::format("{:.0f}", 100 * share) : "-", beside,
                         fmt::format("{}", contest.mismatches[i])});
          list.push_back(std::move(one));
        }
      }
    }
    nlohmann::ordered_json means = nlohmann::ordered_json::object();
    for (const auto& [name, of_kind] : ratios) {
      means[name] = {{"median", bench::geometric_mean(of_kind.medians)},
                     {"minimum", bench::geometric_mean(of_kind.minima)}};
    }
    if (globals.format == OutputFormat::json) {
      print_json({{"layers", list},
                  {"machine",
                   {{"cpu", cpu_model()},
                    {"cores", std::thread::hardware_concurrency()},
                    {"isa", sim::to_string(sim::available_isas().back())},
                    {"core_peak_gmacs", peak / 1e9}}},
                  {"geometric_mean_of_ratios", means}});
    } else {
      print(table.text());
      print(
          fmt::format("\nVNNI peak of one core, measured in this run: {:.0f} GMAC/s; threads: {}\n",
                      peak / 1e9, pool.threads()));
      for (const auto& [name, mean] : means.items()) {
        print(fmt::format("geometric mean, {}: {:.2f} (median) {:.2f} (minimum)\n", name,
                          mean["median"].get<double>(), mean["minimum"].get<double>()));
      }
    }
    return exact ? ExitCode::equal : ExitCode::different;
  }

 private:
  LayerContest contest_of(const bench::LayerGeometry& geometry,
                          const std::vector<bench::Peer>& peers, const Globals& globals,
                          sim::ThreadPool& pool) const {
    LayerContest contest;
    std::vector<std::unique_ptr<bench::LayerRunner>> norms;
    for (const auto& [name, activation] : profiles_) {
      const bench::LayerCase layer = bench::make_layer_case(geometry, activation, 1);
      const backends::Profile profile = backends::load_profile(name, globals.search());
      contest.names.push_back("facsim:" + name);
      contest.runners.push_back(bench::make_facsim_runner(layer, profile, globals.isa, &pool));
      norms.push_back(bench::make_facsim_runner(layer, profile, sim::Isa::scalar, &pool));
      norms.back()->run();
    }
    for (const bench::Peer& peer : peers) {
      const bench::LayerCase layer = bench::make_layer_case(geometry, peer.activation, 1);
      contest.names.push_back(peer.name);
      contest.runners.push_back(peer.make(layer, pool.threads()));
    }
    std::vector<bench::Contender> contenders;
    for (size_t i = 0; i < contest.names.size(); ++i) {
      bench::LayerRunner* runner = contest.runners[i].get();
      contenders.push_back({contest.names[i], [runner] { runner->run(); }});
    }
    bench::ContestOptions turns = options_.contest;
    if (pool.threads() > 1 && !peers.empty()) {
      // The other side's threads fall asleep (pthreadpool spins for 10^6 pauses), one's own wake
      // up.
      turns.rest_ms = 60;
      turns.sample_ms = std::max(turns.sample_ms, 20.0);
    }
    contest.times = bench::contest(contenders, turns);
    // What the last timed run left: ours against the norm, a peer's against ours of its profile.
    for (size_t i = 0; i < norms.size(); ++i) {
      contest.mismatches.push_back(
          count_mismatches(contest.runners[i]->output(), norms[i]->output()));
    }
    for (size_t p = 0; p < peers.size(); ++p) {
      const size_t ours = contest.index("facsim:" + peers[p].profile);
      contest.mismatches.push_back(count_mismatches(contest.runners[norms.size() + p]->output(),
                                                    contest.runners[ours]->output()));
    }
    return contest;
  }

  BenchOptions options_;
  std::vector<std::string> peers_;
  std::vector<int64_t> batches_{1};
  std::vector<TimedProfile> profiles_;
};

}  // namespace

std::unique_ptr<Bench> make_layers_bench() { return std::make_unique<LayersBench>(); }

}  // namespace facsim::cli
