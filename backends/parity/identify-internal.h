// SPDX-License-Identifier: Apache-2.0
// The parts of `identify`: the settings it tries, what they make of vectors, what is left.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/lower/given_arguments.h"
#include "backends/parity/identify.h"
#include "backends/parity/knobs-internal.h"
#include "backends/parity/vector_dice-internal.h"
#include "sim/core/error.h"
#include "sim/core/parallel.h"

namespace facsim::backends::detail {

/// What a device or a setting makes of each vector: an output, or a fingerprint of several; nothing
/// where it refuses.
using IdentifyOutcomes = std::vector<std::optional<int64_t>>;

/// How a setting did on rows or values that a device gave.
struct IdentifyTally {
  int64_t explained = 0, refused = 0, contradicted = 0;
  std::string reason;  ///< of the first refusal
};

/// Distinct rules, and every setting that gives them.
struct IdentifyRule {
  std::string key;                         ///< canonical: equal keys are proved to compute the same
  std::string program;                     ///< for people
  OpRules rules;                           ///< of rows
  std::shared_ptr<const Profile> profile;  ///< of layers
  std::vector<IdentifyCandidate> members;
};

/// Which of a multiplier's settings can show in the data.
enum class IdentifyForm { multiplier, scale, three_scales };

/// The built-in space: single and staged roundings, multiplier widths and derivations, float32 and
/// float64, zero point inside and outside, overflow; only settings that can show in `form`.
IdentifySpace default_identify_space(IdentifyForm form);

std::vector<IdentifySetting> settings_of(const IdentifySpace& space);

// ---- work ----------------------------------------------------------------------------------

/// A stretch of a search, in thousandths of it.
struct IdentifyPhase {
  double begin = 0, end = 1000;
  IdentifyPhase part(size_t number, size_t of) const;
};
inline constexpr IdentifyPhase kIdentifyCollects{0, 500}, kIdentifyTries{500, 700},
    kIdentifySeparates{700, 1000};

/// Calls body(i) for i in [0, count) on the pool, and between parts of it progress, which may
/// throw.
void run_in_parts(sim::ThreadPool& pool, size_t count,
                  const std::function<void(int64_t done, int64_t total)>& progress,
                  IdentifyPhase phase, const std::function<void(size_t)>& body);

/// Rules that no vector contradicts: those that ran every vector fit, members of the others are
/// listed with their reason.
template <class Rule, class Pointer>
void sort_out(std::vector<Rule>& rules, const std::vector<IdentifyTally>& tallies,
              std::vector<Pointer>& fitting, IdentifyResult& result) {
  for (size_t r = 0; r < rules.size(); ++r) {
    const IdentifyTally& counts = tallies[r];
    if (counts.contradicted > 0) continue;
    if (counts.refused == 0) {
      fitting.push_back(&rules[r]);
      continue;
    }
    for (IdentifyCandidate member : rules[r].members) {
      member.explained = counts.explained;
      member.refused = counts.refused;
      member.reason = counts.reason;
      result.cannot_run.push_back(std::move(member));
    }
  }
}

/// Nothing fits: the rules that explain most. The first tallies may end at a contradiction, so more
/// rules than are shown are counted again on all vectors, by retally(indices).
template <class Rule, class Retally>
void list_nearest(const std::vector<Rule>& rules, const std::vector<IdentifyTally>& tallies,
                  IdentifyResult& result, const Retally& retally) {
  constexpr size_t kShown = 12;
  std::vector<size_t> order;
  for (size_t r = 0; r < rules.size(); ++r) {
    if (tallies[r].contradicted > 0) order.push_back(r);
  }
  const auto share = [&](size_t r) {
    const IdentifyTally& t = tallies[r];
    return static_cast<double>(t.explained) /
           static_cast<double>(t.explained + t.refused + t.contradicted);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return share(a) > share(b); });
  if (order.size() > 8 * kShown) order.resize(8 * kShown);
  retally(order);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return tallies[a].explained > tallies[b].explained; });
  if (order.size() > kShown) order.resize(kShown);
  for (const size_t r : order) {
    IdentifyCandidate nearest = rules[r].members.front();
    nearest.explained = tallies[r].explained;
    nearest.refused = tallies[r].refused;
    result.nearest.push_back(std::move(nearest));
  }
}

/// The rules that share their class with another.
template <class Rule, class Pointer>
std::vector<const Rule*> in_company(const std::vector<Pointer>& fitting,
                                    const std::vector<int>& classes) {
  std::vector<int> sizes(classes.size(), 0);
  for (const int c : classes) ++sizes[static_cast<size_t>(c)];
  std::vector<const Rule*> rules;
  for (size_t r = 0; r < classes.size(); ++r) {
    if (sizes[static_cast<size_t>(classes[r])] > 1) rules.push_back(fitting[r]);
  }
  return rules;
}

/// What is wrong with settings of a space file that do not load, from any thread: those that
/// contradict each other are no platform, but a file of which none loads is a mistake.
class SpaceErrors {
 public:
  void add(const IdentifySetting& setting, const Error& error);
  size_t count() const { return count_; }
  /// Throws the error of the setting that comes first, if there are as many as `settings`.
  void raise_if_all(size_t settings) const;

 private:
  std::mutex mutex_;
  size_t count_ = 0;
  std::vector<ErrorInfo> first_;
};

/// "executed", "documented", "assumed".
std::string evidence_level_word(Profile::Evidence::Level level);

// ---- rows -----------------------------------------------------------------------------------

/// Columns of one length. Error shape_mismatch, bad_value.
void check_identify_rows(const IdentifyRows& rows, bool answered);
IdentifyForm form_of(const IdentifyRows& rows);
/// Rows `at`, in this order.
IdentifyRows rows_at(const IdentifyRows& rows, std::span<const size_t> at);
/// Error bad_value (place) unless `more` can be appended to `rows`.
void require_same_columns(const IdentifyRows& rows, const IdentifyRows& more,
                          const std::string& place);
/// A name of an argument as a file's: what is not a letter, digit, '_' or '-' becomes '_'.
std::string file_stem_of(const std::string& name);
/// Appends all rows of `more`, which has the same columns.
void append_rows(IdentifyRows& rows, const IdentifyRows& more);
/// What the rules make of each row; `reason` receives the first refusal's.
IdentifyOutcomes run_identify_rows(const OpRules& rules, const IdentifyRows& rows,
                                   std::string* reason);
/// Against what the device gave; after many refusals in a row the rest counts as refused untried.
IdentifyTally tally_identify_rows(const OpRules& rules, const IdentifyRows& rows);
/// The program of a single row. Error if the rules refuse it.
sim::Requantizer row_requantizer(const OpRules& rules, const IdentifyRows& row);
/// The rules' program with what its arguments are derived by.
std::string row_rules_key(const OpRules& rules, const IdentifyRows& rows);
/// All rules that the options name, distinct by key.
enum class IdentifyKnobs { left_out, included };
std::vector<IdentifyRule> row_rules(const IdentifyRows& rows, const IdentifyOptions& options,
                                    IdentifyKnobs knobs, KnobBenches& benches,
                                    sim::ThreadPool& pool, int64_t& tried);
/// Leaves out settings without which a member's rules are the same.
void drop_idle_settings(IdentifyRule& rule, const IdentifyRows& rows, KnobBenches& benches);
/// Numbers of rows whose parameters, all columns but the accumulators, are those of no row before.
std::vector<size_t> distinct_parameters(const IdentifyRows& rows);
/// Directed rows within the limits: about `count`, steered by the programs of `rules`, with
/// parameters like those recorded and others.
IdentifyRows directed_rows(const IdentifyRows& recorded, std::span<const IdentifyRule* const> rules,
                           const IdentifyLimits& limits, size_t count, VectorDice& dice);
/// Every row within the limits; nothing if they are more than `most`, or without both limits.
std::optional<IdentifyRows> every_row(const IdentifyRows& recorded, const IdentifyLimits& limits,
                                      size_t most);

// ---- what is left -----------------------------------------------------------------------------

/// Number of the class of each list of outcomes: equal lists, equal classes, numbered from 0 in
/// order of appearance.
std::vector<int> outcome_classes(const std::vector<IdentifyOutcomes>& outcomes);

/// At most `count` vectors that split the classes best: each time the one that separates most pairs
/// that are together so far, the cheapest of those. Stops when every pair is separated.
std::vector<size_t> splitting_vectors(const std::vector<IdentifyOutcomes>& of_classes, int count,
                                      const std::vector<int64_t>& cost);

/// Fills candidates, classes and undecided of the rules that fit; without a form those of whole
/// layers.
void describe_classes(const std::vector<const IdentifyRule*>& rules,
                      const std::vector<int>& classes, const std::vector<int64_t>& vectors,
                      KnobBenches& benches, std::optional<IdentifyForm> form,
                      IdentifyResult& result);

}  // namespace facsim::backends::detail
