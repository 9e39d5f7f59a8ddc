// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/bench/bench.h"

#include <algorithm>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace facsim::cli {

void add_bench_options(CLI::App& app, BenchOptions& options) {
  app.add_option("--rounds", options.contest.rounds, "turns of each contender")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--sample-ms", options.contest.sample_ms, "least time of a sample")
      ->check(CLI::Range(0.0, 10000.0))
      ->capture_default_str();
  app.add_option("--only", options.only, "those whose name contains this");
}

std::vector<TimedProfile> timed_profiles() {
  return {{"onednn", sim::kUint8}, {"tflite-micro", sim::kInt8}};
}

int64_t count_mismatches(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return std::max(a.numel(), b.numel());
  int64_t count = 0;
  for (int64_t i = 0; i < a.numel(); ++i) count += a.int_at(i) != b.int_at(i) ? 1 : 0;
  return count;
}

std::string time_text(double ns) {
  if (ns < 1e4) return fmt::format("{:.0f} ns", ns);
  return ns < 1e6 ? fmt::format("{:.1f} us", ns / 1e3) : fmt::format("{:.2f} ms", ns / 1e6);
}

nlohmann::ordered_json times_json(const bench::Times& times) {
  return {{"median_ns", times.median()}, {"minimum_ns", times.minimum()}, {"samples_ns", times.ns}};
}

}  // namespace facsim::cli
