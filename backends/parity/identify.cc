// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/identify.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "backends/parity/identify-internal.h"
#include "sim/core/parallel.h"

namespace facsim::backends {

namespace {

using detail::IdentifyOutcomes;
using detail::IdentifyRule;
using detail::IdentifyTally;

/// Rows on which every setting is tried, and those that fit these.
constexpr std::array<size_t, 2> kSampledRows{48, 512};
/// Candidates that are shown when nothing fits.
/// Rules times directed vectors of one search.
constexpr size_t kOutcomes = 3'000'000;
constexpr int kIdentifySearches = 4;

std::vector<size_t> sampled_rows(size_t rows, size_t most) {
  std::vector<size_t> at(std::min(rows, most));
  for (size_t i = 0; i < at.size(); ++i) at[i] = i * rows / at.size();
  return at;
}

/// One search for a program: each rule, its rows, what is left.
class RowIdentification {
 public:
  RowIdentification(const IdentifyRows& rows, const IdentifyOptions& options)
      : rows_(rows), options_(options), pool_(options.threads) {}

  IdentifyResult run(IdentifyRows* next) {
    using detail::IdentifyKnobs;
    const bool always = options_.knobs == IdentifyOptions::Knobs::always;
    collect(always ? IdentifyKnobs::included : IdentifyKnobs::left_out);
    const bool has_profiles = !options_.space || options_.space->profiles;
    if (fitting_.empty() && !always && has_profiles) collect(IdentifyKnobs::included);
    if (fitting_.empty()) {
      list_nearest();
      return std::move(result_);
    }
    separate(next);
    for (IdentifyCandidate& candidate : result_.candidates) candidate.explained = result_.rows;
    return std::move(result_);
  }

 private:
  void collect(detail::IdentifyKnobs knobs) {
    result_ = {};
    rules_ = detail::row_rules(rows_, options_, knobs, result_.tried);
    result_.rows = static_cast<int64_t>(rows_.size());
    result_.programs = static_cast<int64_t>(rules_.size());
    try_rules();
  }

  /// A few rows refute most settings; what they do not refute is tried on more, and then on all.
  void try_rules() {
    std::vector<IdentifyRows> samples;
    for (const size_t most : kSampledRows) {
      samples.push_back(detail::rows_at(rows_, sampled_rows(rows_.size(), most)));
      if (samples.back().size() == rows_.size()) break;
    }
    tallies_.assign(rules_.size(), {});
    detail::run_in_parts(pool_, rules_.size(), options_.progress, detail::kIdentifyTries,
                         [&](size_t r) {
                           for (const IdentifyRows& sample : samples) {
                             tallies_[r] = detail::tally_identify_rows(rules_[r].rules, sample);
                             if (tallies_[r].contradicted > 0) return;
                           }
                           if (samples.back().size() < rows_.size())
                             tallies_[r] = detail::tally_identify_rows(rules_[r].rules, rows_);
                         });
    detail::sort_out(rules_, tallies_, fitting_, result_);
  }

  void list_nearest() {
    detail::list_nearest(rules_, tallies_, result_, [&](const std::vector<size_t>& some) {
      for (const size_t r : some) {
        tallies_[r] = detail::tally_identify_rows(rules_[r].rules, rows_);
      }
    });
  }

  /// Directed rows until no two rules that fit can be told apart, or the searches are used up.
  void separate(IdentifyRows* next) {
    std::vector<IdentifyOutcomes> outcomes(fitting_.size());
    std::vector<int> classes(fitting_.size(), 0);
    IdentifyRows tried = detail::rows_at(rows_, {});
    detail::VectorDice dice(options_.seed * 0x9e3779b97f4a7c15u + rows_.size());
    std::vector<const IdentifyRule*> together(fitting_.begin(), fitting_.end());
    for (int search = 0; search < kIdentifySearches && together.size() > 1; ++search) {
      const size_t count =
          std::clamp(kOutcomes / kIdentifySearches / fitting_.size(), size_t{250}, size_t{8000});
      const IdentifyRows rows = detail::directed_rows(rows_, together, count, dice);
      detail::run_in_parts(
          pool_, fitting_.size(), options_.progress,
          detail::kIdentifySeparates.part(static_cast<size_t>(search), kIdentifySearches + 1),
          [&](size_t r) {
            const IdentifyOutcomes got =
                detail::run_identify_rows(fitting_[r]->rules, rows, nullptr);
            outcomes[r].insert(outcomes[r].end(), got.begin(), got.end());
          });
      detail::append_rows(tried, rows);
      classes = detail::outcome_classes(outcomes);
      together = detail::in_company<IdentifyRule>(fitting_, classes);
    }
    detail::run_in_parts(
        pool_, fitting_.size(), options_.progress,
        detail::kIdentifySeparates.part(kIdentifySearches, kIdentifySearches + 1),
        [&](size_t r) { detail::drop_idle_settings(*fitting_[r], rows_, options_); });
    const std::vector<int64_t> vectors(fitting_.size(), static_cast<int64_t>(tried.size()));
    detail::describe_classes({fitting_.begin(), fitting_.end()}, classes, vectors, options_.search,
                             detail::form_of(rows_), result_);
    if (next == nullptr) return;
    *next = detail::rows_at(tried, best_vectors(outcomes, classes, tried));
  }

  std::vector<size_t> best_vectors(const std::vector<IdentifyOutcomes>& outcomes,
                                   const std::vector<int>& classes, const IdentifyRows& tried) {
    std::vector<IdentifyOutcomes> of_classes;
    for (size_t r = 0; r < classes.size(); ++r) {
      if (classes[r] == static_cast<int>(of_classes.size())) of_classes.push_back(outcomes[r]);
    }
    // Small accumulators first; rows that a rule refuses only if nothing else separates.
    std::vector<int64_t> cost(tried.size());
    for (size_t v = 0; v < cost.size(); ++v) {
      const int64_t acc = tried.acc[v];
      cost[v] =
          static_cast<int64_t>(std::bit_width(static_cast<uint64_t>(acc < 0 ? -(acc + 1) : acc)));
      for (const IdentifyOutcomes& list : of_classes) cost[v] += list[v] ? 0 : 100;
    }
    return detail::splitting_vectors(of_classes, options_.suggest, cost);
  }

  const IdentifyRows& rows_;
  const IdentifyOptions& options_;
  sim::ThreadPool pool_;
  std::vector<IdentifyRule> rules_;
  std::vector<IdentifyTally> tallies_;
  std::vector<IdentifyRule*> fitting_;
  IdentifyResult result_;
};

}  // namespace

IdentifyResult identify_rows(const IdentifyRows& rows, const IdentifyOptions& options,
                             IdentifyRows* next) {
  detail::check_identify_rows(rows, true);
  return RowIdentification(rows, options).run(next);
}

}  // namespace facsim::backends
