// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace facsim::bench {

/// One side of a comparison: `run` does the whole work once and leaves the same result each time.
struct Contender {
  std::string name;
  std::function<void()> run;
};

struct ContestOptions {
  int rounds = 15;
  double sample_ms = 2;  ///< a sample repeats the work until it lasted that long
  /// Rest before each sample: another library's threads spin for a while when their work is done.
  double rest_ms = 0;
};

/// One contender's samples in nanoseconds per run, by round.
struct Times {
  std::vector<double> ns;
  double median() const;
  double minimum() const;
};

/// How often a takes b's time: the median of the ratios of each round, and the ratio of the minima.
/// The first bears a machine that is busy for a while, the second one that is busy now and then.
struct Ratio {
  double median = 0, minimum = 0;
};
Ratio ratio(const Times& a, const Times& b);

/// Lets the contenders take turns, A B C A B C …. Before each sample comes a run that is not
/// counted.
std::vector<Times> contest(std::span<const Contender> contenders, const ContestOptions& options);

/// exp of the mean of the logarithms; 0 of nothing.
double geometric_mean(std::span<const double> values);

}  // namespace facsim::bench
