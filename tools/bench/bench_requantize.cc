// SPDX-License-Identifier: Apache-2.0
// Requantization alone, 8K accumulators of 64 channels in the cache: elements per second by
// program, isa and shape of the call (all rows at once, or tiles of 14 pixels by 32 channels as a
// convolution makes them). The machine may be busy: compare minima over repetitions.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "sim/core/float_mode.h"
#include "sim/kernels/isa.h"
#include "tools/bench/requantize_cases.h"

namespace facsim::bench {
namespace {

void run_rows(benchmark::State& state, const RequantizeCase& c, sim::Isa isa, bool count_events) {
  std::vector<int8_t> out(c.acc.size());
  for (auto _ : state) {
    c.kernel.run(c.acc.data(), kRequantizeChannels, kRequantizeRows, 0, kRequantizeChannels,
                 out.data(), kRequantizeChannels, isa, count_events);
    benchmark::ClobberMemory();
  }
  state.counters["elements/s"] = benchmark::Counter(static_cast<double>(c.acc.size()),
                                                    benchmark::Counter::kIsIterationInvariantRate);
}

void register_rows(const RequantizeCase& c, sim::Isa isa, bool count_events) {
  const std::string name = c.name + "/" + std::string(to_string(isa)) + "/" +
                           std::string(c.kernel.form()) + (count_events ? "/events" : "");
  benchmark::RegisterBenchmark(
      name.c_str(), [=, &c](benchmark::State& state) { run_rows(state, c, isa, count_events); });
}

constexpr int64_t kTilePixels = 14, kTileChannels = 32;

void run_tiles(benchmark::State& state, const RequantizeCase& c) {
  const sim::PreparedRequantize prepared = c.kernel.prepared(sim::Isa::best, false);
  std::vector<int8_t> out(c.acc.size());
  int64_t first = 0;
  for (auto _ : state) {
    const sim::FloatMode mode;
    prepared.run({c.acc.data(), kTileChannels, kTilePixels, first, kTileChannels,
                  out.data() + first, kRequantizeChannels});
    first = (first + kTileChannels) % kRequantizeChannels;
    benchmark::ClobberMemory();
  }
  state.counters["elements/s"] =
      benchmark::Counter(static_cast<double>(kTilePixels * kTileChannels),
                         benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace
}  // namespace facsim::bench

int main(int argc, char** argv) {
  using namespace facsim;
  const std::vector<bench::RequantizeCase> cases = bench::requantize_cases();
  for (const bench::RequantizeCase& c : cases) {
    for (const sim::Isa isa : sim::available_isas()) {
      if (isa != sim::Isa::scalar) bench::register_rows(c, isa, false);
    }
    bench::register_rows(c, sim::Isa::best, true);
    benchmark::RegisterBenchmark((c.name + "/tiles").c_str(),
                                 [&c](benchmark::State& state) { bench::run_tiles(state, c); });
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
