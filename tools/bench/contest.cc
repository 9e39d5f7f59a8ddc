// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/contest.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

namespace facsim::bench {

namespace {

using Clock = std::chrono::steady_clock;

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double nanoseconds(const Contender& contender, int64_t runs) {
  const Clock::time_point start = Clock::now();
  for (int64_t i = 0; i < runs; ++i) contender.run();
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

/// Runs that fill a sample; the first run, with cold caches and memory, does not count.
int64_t runs_per_sample(const Contender& contender, double sample_ms) {
  contender.run();
  const double once = std::max(1.0, nanoseconds(contender, 1));
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(sample_ms * 1e6 / once)));
}

}  // namespace

double Times::median() const { return median_of(ns); }
double Times::minimum() const { return ns.empty() ? 0 : *std::min_element(ns.begin(), ns.end()); }

Ratio ratio(const Times& a, const Times& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(a.ns.size(), b.ns.size()); ++i) {
    ratios.push_back(a.ns[i] / b.ns[i]);
  }
  return {median_of(ratios), b.ns.empty() ? 0 : a.minimum() / b.minimum()};
}

std::vector<Times> contest(std::span<const Contender> contenders, const ContestOptions& options) {
  std::vector<int64_t> runs;
  for (const Contender& contender : contenders) {
    runs.push_back(runs_per_sample(contender, options.sample_ms));
  }
  std::vector<Times> times(contenders.size());
  for (int round = 0; round < options.rounds; ++round) {
    for (size_t turn = 0; turn < contenders.size(); ++turn) {
      // Nobody is always behind the same one, whose threads and caches it finds.
      const size_t i = (turn + static_cast<size_t>(round)) % contenders.size();
      if (options.rest_ms > 0) {
        std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(options.rest_ms));
      }
      contenders[i].run();
      times[i].ns.push_back(nanoseconds(contenders[i], runs[i]) / static_cast<double>(runs[i]));
    }
  }
  return times;
}

double geometric_mean(std::span<const double> values) {
  if (values.empty()) return 0;
  double sum = 0;
  for (const double value : values) sum += std::log(value);
  return std::exp(sum / static_cast<double>(values.size()));
}

}  // namespace facsim::bench
