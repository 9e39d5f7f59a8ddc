// SPDX-License-Identifier: Apache-2.0
// Which settings give the outputs of whole layers, and which layers would tell them apart.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "backends/parity/identify_exclusions-internal.h"
#include "backends/parity/identify_layers-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

using detail::IdentifyCase;
using detail::IdentifyOutcomes;
using detail::IdentifyTally;
using detail::LayerRule;

/// Rules times layers of one search, of which there are at most this many.
constexpr size_t kLayerOutcomes = 60'000;
constexpr int kLayerSearches = 5;

class LayerIdentification {
 public:
  LayerIdentification(const std::vector<IdentifyCase>& cases, const IdentifyOptions& options)
      : cases_(cases),
        examples_(detail::kind_examples(cases_)),
        options_(options),
        benches_(options.search),
        pool_(options.threads) {}

  IdentifyResult run(const std::vector<IdentifySetting>* left, std::vector<GeneratedCase>* next) {
    for (const IdentifyCase& c : cases_) result_.rows += c.values();
    detail::LayerRules all = detail::layer_rules(cases_, options_, left, benches_, pool_);
    rules_ = std::move(all.rules);
    result_.tried = all.tried;
    result_.programs = static_cast<int64_t>(rules_.size());
    try_rules();
    detail::list_exclusions(
        rules_, tallies_, pool_, [&](size_t r) { return first_contradiction(rules_[r]); }, result_);
    for (const IdentifyCandidate& none : all.cannot_run) result_.shipped += none.settings.empty();
    for (IdentifyCandidate& candidate : all.cannot_run) {
      result_.cannot_run.push_back(std::move(candidate));
    }
    if (fitting_.empty()) {
      list_nearest();
    } else {
      separate(next);
      for (IdentifyCandidate& candidate : result_.candidates) candidate.explained = result_.rows;
    }
    return std::move(result_);
  }

 private:
  enum class Thorough { no, yes };
  /// Not thorough: up to the first case that contradicts.
  IdentifyTally tally(const LayerRule& rule, Thorough thorough) const {
    IdentifyTally all;
    for (const IdentifyCase& c : cases_) {
      IdentifyTally one = c.tally(*rule.profile);
      all.explained += one.explained;
      all.refused += one.refused;
      all.contradicted += one.contradicted;
      if (all.reason.empty()) all.reason = std::move(one.reason);
      if (all.contradicted > 0 && thorough == Thorough::no) break;
    }
    return all;
  }

  void try_rules() {
    tallies_.resize(rules_.size());
    detail::run_in_parts(pool_, rules_.size(), options_.progress, detail::kIdentifyTries,
                         [&](size_t r) { tallies_[r] = tally(rules_[r], Thorough::no); });
    detail::sort_out(rules_, tallies_, fitting_, result_);
  }

  std::optional<detail::FirstContradiction> first_contradiction(const LayerRule& rule) const {
    for (size_t c = 0; c < cases_.size(); ++c) {
      if (auto found = cases_[c].contradiction(*rule.profile)) {
        return detail::FirstContradiction{c, std::move(*found)};
      }
    }
    return std::nullopt;
  }

  void list_nearest() {
    detail::list_nearest(rules_, tallies_, result_, [&](const std::vector<size_t>& some) {
      pool_.parallel_for(static_cast<int64_t>(some.size()), [&](int64_t i) {
        const size_t r = some[static_cast<size_t>(i)];
        tallies_[r] = tally(rules_[r], Thorough::yes);
      });
    });
  }

  /// Directed layers until no two rules that fit can be told apart, or the searches are used up.
  void separate(std::vector<GeneratedCase>* next) {
    std::vector<IdentifyOutcomes> outcomes(fitting_.size());
    std::vector<int> classes(fitting_.size(), 0);
    std::vector<GeneratedCase> layers;
    std::vector<const LayerRule*> together = fitting_;
    const size_t count = std::clamp(kLayerOutcomes / fitting_.size(), size_t{12}, size_t{64});
    const size_t searches = together.size() > 1 ? kLayerSearches : 0;
    for (size_t search = 0; search < searches && together.size() > 1; ++search) {
      std::vector<std::optional<GeneratedCase>> made(count);
      std::vector<IdentifyOutcomes> of_layers(count);
      detail::run_in_parts(pool_, count, options_.progress,
                           detail::kIdentifySeparates.part(search, searches), [&](size_t i) {
                             detail::VectorDice dice(options_.seed * 0x9e3779b97f4a7c15u +
                                                     (search * count + i) * 1000003 +
                                                     cases_.size());
                             const LayerRule& rule = *together[static_cast<size_t>(
                                 dice.between(0, static_cast<int64_t>(together.size()) - 1))];
                             made[i] = detail::directed_layer(rule, cases_, examples_, dice);
                             if (made[i]) of_layers[i] = detail::layer_outcomes(*made[i], fitting_);
                           });
      for (size_t i = 0; i < count; ++i) {
        if (!made[i]) continue;
        made[i]->name = fmt::format("layer_{}", layers.size());
        for (size_t r = 0; r < fitting_.size(); ++r) outcomes[r].push_back(of_layers[i][r]);
        layers.push_back(std::move(*made[i]));
      }
      classes = detail::outcome_classes(outcomes);
      together = detail::in_company<LayerRule>(fitting_, classes);
    }
    const std::vector<int64_t> vectors(fitting_.size(), static_cast<int64_t>(layers.size()));
    detail::describe_classes({fitting_.begin(), fitting_.end()}, classes, vectors, benches_,
                             std::nullopt, result_);
    if (next == nullptr) return;
    for (const size_t v : best_layers(outcomes, classes, layers)) {
      next->push_back(layers[v]);
      next->back().golden = {};  // the device is to make it
    }
  }

  /// Small layers first; those that a rule refuses only if nothing else separates.
  std::vector<size_t> best_layers(const std::vector<IdentifyOutcomes>& outcomes,
                                  const std::vector<int>& classes,
                                  const std::vector<GeneratedCase>& layers) const {
    std::vector<IdentifyOutcomes> of_classes;
    for (size_t r = 0; r < classes.size(); ++r) {
      if (classes[r] == static_cast<int>(of_classes.size())) of_classes.push_back(outcomes[r]);
    }
    std::vector<int64_t> cost(layers.size());
    for (size_t v = 0; v < cost.size(); ++v) {
      cost[v] = layers[v].golden.numel();
      for (const IdentifyOutcomes& list : of_classes) cost[v] += list[v] ? 0 : 1'000'000;
    }
    return detail::splitting_vectors(of_classes, options_.suggest, cost);
  }

  const std::vector<IdentifyCase>& cases_;
  std::vector<size_t> examples_;
  const IdentifyOptions& options_;
  detail::KnobBenches benches_;
  sim::ThreadPool pool_;
  std::vector<LayerRule> rules_;
  std::vector<IdentifyTally> tallies_;
  std::vector<const LayerRule*> fitting_;
  IdentifyResult result_;
};

}  // namespace

IdentifyResult identify_layers(const LayerDialogue& dialogue, const IdentifyOptions& options,
                               std::vector<GeneratedCase>* next) {
  std::vector<IdentifyCase> cases = detail::read_identify_cases(dialogue.suite, dialogue.cases);
  for (const GeneratedCase& layer : dialogue.answered) cases.emplace_back(layer);
  for (const GeneratedCase& layer : dialogue.refused) cases.emplace_back(layer);
  if (dialogue.left && !options.space) {
    IdentifyResult result = LayerIdentification(cases, options).run(&*dialogue.left, next);
    if (!result.classes.empty()) return result;
  }
  return LayerIdentification(cases, options).run(nullptr, next);
}

std::vector<IdentifySetting> settings_left(const IdentifyResult& result) {
  std::vector<IdentifySetting> left;
  for (const auto* list : {&result.candidates, &result.cannot_run}) {
    for (const IdentifyCandidate& one : *list) left.push_back({one.profile, one.settings});
  }
  return left;
}

}  // namespace facsim::backends
