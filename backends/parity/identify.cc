// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/identify.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "backends/parity/identify-internal.h"
#include "backends/parity/identify_exclusions-internal.h"
#include "sim/core/parallel.h"

namespace facsim::backends {

namespace {

using detail::IdentifyOutcomes;
using detail::IdentifyRule;
using detail::IdentifyTally;

/// Rows on which every setting is tried, and those that fit these.
constexpr std::array<size_t, 2> kSampledRows{48, 512};
/// Rules times directed vectors of one search.
constexpr size_t kOutcomes = 3'000'000;
constexpr size_t kIdentifySearches = 4;

std::vector<size_t> sampled_rows(size_t rows, size_t most) {
  std::vector<size_t> at(std::min(rows, most));
  for (size_t i = 0; i < at.size(); ++i) at[i] = i * rows / at.size();
  return at;
}

/// One search for a program: each rule, its rows, what is left.
class RowIdentification {
 public:
  RowIdentification(const IdentifyRows& rows, const IdentifyOptions& options)
      : rows_(rows), options_(options), benches_(options.search), pool_(options.threads) {}

  IdentifyResult run(IdentifyRows* next) {
    using detail::IdentifyKnobs;
    const bool always = options_.knobs == IdentifyOptions::Knobs::always;
    collect(always ? IdentifyKnobs::included : IdentifyKnobs::left_out);
    const bool has_profiles = !options_.space || options_.space->profiles;
    if (fitting_.empty() && !always && has_profiles) collect(IdentifyKnobs::included);
    detail::list_exclusions(
        rules_, tallies_, pool_,
        [&](size_t r) { return detail::first_contradiction(rules_[r].rules, rows_); }, result_);
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
    rules_ = detail::row_rules(rows_, options_, knobs, benches_, pool_, result_.tried);
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

  /// Rows that were tried on rules, and what these make of them.
  struct Directed {
    IdentifyRows rows;
    std::vector<IdentifyOutcomes> outcomes;
    std::vector<int> classes;  ///< by rule: those that no row tells apart
  };

  void separate(IdentifyRows* next) {
    const auto phase = [](size_t part) { return detail::kIdentifySeparates.part(part, 3); };
    const Directed all = direct({fitting_.begin(), fitting_.end()}, {}, phase(0));
    detail::run_in_parts(pool_, fitting_.size(), options_.progress, phase(1), [&](size_t r) {
      detail::drop_idle_settings(*fitting_[r], rows_, benches_);
    });
    const std::vector<int64_t> vectors(fitting_.size(), static_cast<int64_t>(all.rows.size()));
    detail::describe_classes({fitting_.begin(), fitting_.end()}, all.classes, vectors, benches_,
                             detail::form_of(rows_), result_);
    std::vector<const IdentifyRule*> of_classes;
    std::vector<IdentifyOutcomes> outcomes;
    for (size_t r = 0; r < all.classes.size(); ++r) {
      if (all.classes[r] != static_cast<int>(of_classes.size())) continue;
      of_classes.push_back(fitting_[r]);
      outcomes.push_back(all.outcomes[r]);
    }
    if (!options_.limits.any()) {
      suggest(outcomes, all.rows, next);
      return;
    }
    const Directed within = direct(of_classes, options_.limits, phase(2));
    result_.separable =
        static_cast<size_t>(*std::max_element(within.classes.begin(), within.classes.end()) + 1);
    suggest(within.outcomes, within.rows, next);
  }

  /// Directed rows until no two rules can be told apart, or the searches are used up.
  Directed direct(const std::vector<const IdentifyRule*>& rules, const IdentifyLimits& limits,
                  detail::IdentifyPhase phase) {
    Directed all;
    all.rows = detail::rows_at(rows_, {});
    all.outcomes.resize(rules.size());
    all.classes.assign(rules.size(), 0);
    detail::VectorDice dice(options_.seed * 0x9e3779b97f4a7c15u + rows_.size());
    const size_t count =
        std::clamp(kOutcomes / kIdentifySearches / rules.size(), size_t{250}, size_t{8000});
    const std::optional<IdentifyRows> every =
        detail::every_row(rows_, limits, count * kIdentifySearches);
    std::vector<const IdentifyRule*> together = rules;
    const size_t searches = every ? 1 : kIdentifySearches;
    for (size_t search = 0; search < searches && together.size() > 1; ++search) {
      const IdentifyRows rows =
          every ? *every : detail::directed_rows(rows_, together, limits, count, dice);
      detail::run_in_parts(
          pool_, rules.size(), options_.progress, phase.part(search, searches), [&](size_t r) {
            const IdentifyOutcomes got = detail::run_identify_rows(rules[r]->rules, rows, nullptr);
            all.outcomes[r].insert(all.outcomes[r].end(), got.begin(), got.end());
          });
      detail::append_rows(all.rows, rows);
      all.classes = detail::outcome_classes(all.outcomes);
      together = detail::in_company<IdentifyRule>(rules, all.classes);
    }
    return all;
  }

  /// Small accumulators first; rows that a rule refuses only if nothing else separates.
  void suggest(const std::vector<IdentifyOutcomes>& of_classes, const IdentifyRows& tried,
               IdentifyRows* next) {
    if (next == nullptr) return;
    std::vector<int64_t> cost(tried.size());
    for (size_t v = 0; v < cost.size(); ++v) {
      const int64_t acc = tried.acc[v];
      cost[v] =
          static_cast<int64_t>(std::bit_width(static_cast<uint64_t>(acc < 0 ? -(acc + 1) : acc)));
      for (const IdentifyOutcomes& list : of_classes) cost[v] += list[v] ? 0 : 100;
    }
    *next = detail::rows_at(tried, detail::splitting_vectors(of_classes, options_.suggest, cost));
  }

  const IdentifyRows& rows_;
  const IdentifyOptions& options_;
  detail::KnobBenches benches_;
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
