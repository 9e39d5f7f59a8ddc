// SPDX-License-Identifier: Apache-2.0
// Which shipped profiles contradict what a device gave, and by what.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backends/parity/identify-internal.h"

namespace facsim::backends::detail {

/// Where rules contradict the device first: the number of the row or case, and what is there.
struct FirstContradiction {
  size_t vector = 0;
  IdentifyExclusion found;
};

/// Of rows, in their order. Nothing if no row contradicts.
std::optional<FirstContradiction> first_contradiction(const OpRules& rules,
                                                      const IdentifyRows& rows);

/// Counts the shipped profiles among the rules' members, and lists those of which every op is
/// contradicted, by the rules that hold longest, of those that end together the rules of most ops.
/// `first(r)` is the contradiction of rules[r].
template <class Rule, class First>
void list_exclusions(const std::vector<Rule>& rules, const std::vector<IdentifyTally>& tallies,
                     sim::ThreadPool& pool, const First& first, IdentifyResult& result) {
  std::map<std::string, std::vector<size_t>> by_profile;  // rules as shipped
  std::set<std::string> kept;
  for (size_t r = 0; r < rules.size(); ++r) {
    for (const IdentifyCandidate& member : rules[r].members) {
      if (!member.settings.empty()) continue;
      by_profile[member.profile].push_back(r);
      if (tallies[r].contradicted == 0) kept.insert(member.profile);
    }
  }
  result.shipped = static_cast<int64_t>(by_profile.size());
  std::set<size_t> wanted;
  for (const auto& [profile, numbers] : by_profile) {
    if (!kept.contains(profile)) wanted.insert(numbers.begin(), numbers.end());
  }
  const std::vector<size_t> asked(wanted.begin(), wanted.end());
  std::vector<std::optional<FirstContradiction>> found(asked.size());
  pool.parallel_for(static_cast<int64_t>(asked.size()), [&](int64_t i) {
    found[static_cast<size_t>(i)] = first(asked[static_cast<size_t>(i)]);
  });
  for (const auto& [profile, numbers] : by_profile) {
    if (kept.contains(profile)) continue;
    const FirstContradiction* last = nullptr;
    const IdentifyCandidate* whose = nullptr;
    for (const size_t r : numbers) {
      const auto at = std::lower_bound(asked.begin(), asked.end(), r) - asked.begin();
      const auto& one = found[static_cast<size_t>(at)];
      const auto member =
          std::find_if(rules[r].members.begin(), rules[r].members.end(),
                       [&](const auto& m) { return m.profile == profile && m.settings.empty(); });
      if (!one) continue;
      const bool holds_longer = last == nullptr || one->vector > last->vector;
      const bool is_of_more_ops =
          last != nullptr && one->vector == last->vector && member->ops.size() > whose->ops.size();
      if (!holds_longer && !is_of_more_ops) continue;
      last = &*one;
      whose = &*member;
    }
    if (last == nullptr) continue;
    IdentifyExclusion exclusion = last->found;
    exclusion.profile = profile;
    exclusion.evidence = whose->evidence;
    exclusion.ops = whose->ops;
    result.excluded.push_back(std::move(exclusion));
  }
}

}  // namespace facsim::backends::detail
