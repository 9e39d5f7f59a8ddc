// SPDX-License-Identifier: Apache-2.0
// Which settings vectors tell apart, which vectors to ask for, and what is undecided.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "backends/parity/identify-internal.h"
#include "backends/profile/variants-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

using SettingValues = std::map<std::string, std::string>;  // pointer, JSON

/// Candidates of one class whose settings are read: more say nothing new.
constexpr size_t kReadMembers = 40;
/// Answers of more classes than these are far from a decision.
constexpr size_t kFewClasses = 4;

void flatten_settings(const Json& value, const std::string& pointer, SettingValues& out) {
  if (!value.is_object()) {
    out[pointer] = value.dump();
    return;
  }
  for (const auto& [key, member] : value.items()) {
    flatten_settings(member, json::child(pointer, key), out);
  }
}

bool starts_with_any(std::string_view pointer, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return pointer.starts_with(prefix); });
}

/// True if the rules in `values` read the setting at `pointer`.
bool is_read(std::string_view pointer, const SettingValues& values, IdentifyForm form) {
  const auto word = [&](const char* at) {
    const auto found = values.find(at);
    return found == values.end() ? std::string() : found->second;
  };
  const bool steps = values.contains("/requantize/steps/0") ||
                     (values.contains("/requantize/steps") && word("/requantize/steps") != "null");
  if (steps) return pointer.starts_with("/requantize/steps");
  const std::string domain = word("/requantize/domain");
  if (starts_with_any(pointer, {"/requantize/domain", "/requantize/rounding", "/zero_point_add",
                                "/output/overflow", "/requantize/input"})) {
    return true;
  }
  const bool fixed = domain == "\"fixed_point\"";
  if (starts_with_any(pointer,
                      {"/requantize/multiplier/scale_product", "/requantize/multiplier/formula"})) {
    return form == IdentifyForm::three_scales;
  }
  if (pointer.starts_with("/requantize/multiplier/reduce_to_bits")) return fixed;
  if (pointer.starts_with("/requantize/multiplier")) {
    return fixed && form != IdentifyForm::multiplier;
  }
  if (starts_with_any(pointer, {"/requantize/left_shift", "/requantize/intermediate"})) {
    return fixed;
  }
  const bool real = domain == "\"float32\"" || domain == "\"float64\"";
  if (starts_with_any(pointer,
                      {"/requantize/float/scale_factors", "/requantize/float/reciprocal"})) {
    return real && form == IdentifyForm::three_scales;
  }
  if (starts_with_any(pointer, {"/requantize/float/clamp", "/requantize/float/round_impl",
                                "/requantize/float/fma"})) {
    return real;
  }
  return false;
}

/// The members of rules in which the ways of computing whole layers differ.
constexpr const char* kLayerParts[] = {"accumulator", "padding",   "requantize", "zero_point_add",
                                       "output",      "algorithm", "params"};
constexpr const char* kRowParts[] = {"requantize", "zero_point_add", "output"};

/// Reads what candidates set; each profile's files once.
class EffectiveValues {
 public:
  EffectiveValues(KnobBenches& benches, std::optional<IdentifyForm> form)
      : benches_(benches), form_(form) {}

  /// The effective values of all settings that matter to a candidate.
  SettingValues of(const IdentifyCandidate& candidate) {
    if (form_) return of_rules(candidate, candidate.ops.front(), kRowParts, *form_);
    if (candidate.ops.size() == 1) return of_layer(candidate, candidate.ops.front());
    SettingValues all;  // of several ops, each by its name
    for (const std::string& op : candidate.ops) {
      const std::string place = RulesKey::parse(op).places().front();
      for (auto& [pointer, value] : of_layer(candidate, op)) all[place + pointer] = value;
    }
    return all;
  }

 private:
  SettingValues of_layer(const IdentifyCandidate& candidate, const std::string& op) {
    return of_rules(candidate, op, kLayerParts, IdentifyForm::three_scales);
  }

  SettingValues of_rules(const IdentifyCandidate& candidate, const std::string& op,
                         std::span<const char* const> parts, IdentifyForm form) {
    SettingValues values, read;
    const Json rules = benches_.of(candidate.profile).effective(candidate.settings, op);
    for (const char* part : parts) {
      if (rules.contains(part)) flatten_settings(rules[part], std::string("/") + part, values);
    }
    for (const auto& [pointer, value] : values) {
      const bool is_of_layers =
          starts_with_any(pointer, {"/accumulator", "/padding", "/algorithm", "/params"});
      if (is_of_layers || is_read(pointer, values, form)) read[pointer] = value;
    }
    return read;
  }

  KnobBenches& benches_;
  std::optional<IdentifyForm> form_;
};

/// SettingValues of each pointer by class; a class without an entry does not read it, so it takes
/// any.
using ValuesByClass = std::map<std::string, std::map<int, std::set<std::string>>>;

bool are_disjoint(const std::set<std::string>& a, const std::set<std::string>& b) {
  return std::none_of(a.begin(), a.end(), [&](const std::string& v) { return b.contains(v); });
}

std::vector<IdentifyUndecided> undecided_of(const ValuesByClass& all) {
  std::vector<IdentifyUndecided> list;
  for (const auto& [pointer, by_class] : all) {
    bool differs = false;
    for (auto a = by_class.begin(); a != by_class.end() && !differs; ++a) {
      for (auto b = std::next(a); b != by_class.end() && !differs; ++b) {
        differs = are_disjoint(a->second, b->second);
      }
    }
    if (!differs) continue;
    std::map<std::string, std::vector<int>> classes;
    for (const auto& [number, values] : by_class) {
      for (const std::string& value : values) classes[value].push_back(number);
    }
    IdentifyUndecided undecided;
    undecided.pointer = pointer;
    for (auto& [value, numbers] : classes) undecided.values.push_back({value, std::move(numbers)});
    list.push_back(std::move(undecided));
  }
  return list;
}

/// By the number of the candidate in the list.
ValuesByClass values_of(const std::vector<const IdentifyCandidate*>& candidates,
                        EffectiveValues& effective) {
  ValuesByClass values;
  for (size_t i = 0; i < std::min(candidates.size(), kReadMembers); ++i) {
    for (const auto& [pointer, value] : effective.of(*candidates[i])) {
      values[pointer][static_cast<int>(i)].insert(value);
    }
  }
  return values;
}

/// Pairs that `vector` separates within each group that is together so far.
int64_t separated_pairs(const std::vector<IdentifyOutcomes>& of_classes,
                        const std::vector<std::vector<size_t>>& groups, size_t vector) {
  int64_t pairs = 0;
  std::map<std::optional<int64_t>, int64_t> counts;
  for (const std::vector<size_t>& group : groups) {
    counts.clear();
    for (const size_t c : group) ++counts[of_classes[c][vector]];
    const auto all = static_cast<int64_t>(group.size());
    pairs += all * all;
    for (const auto& [outcome, count] : counts) pairs -= count * count;
  }
  return pairs / 2;
}

std::vector<std::vector<size_t>> split_groups(const std::vector<IdentifyOutcomes>& of_classes,
                                              const std::vector<std::vector<size_t>>& groups,
                                              size_t vector) {
  std::vector<std::vector<size_t>> parts;
  for (const std::vector<size_t>& group : groups) {
    std::map<std::optional<int64_t>, std::vector<size_t>> by_outcome;
    for (const size_t c : group) by_outcome[of_classes[c][vector]].push_back(c);
    for (auto& [outcome, part] : by_outcome) {
      if (part.size() > 1) parts.push_back(std::move(part));
    }
  }
  return parts;
}

/// executed, documented, assumed; with settings none.
int evidence_rank(const IdentifyCandidate& candidate) {
  if (candidate.evidence == "executed") return 0;
  return candidate.evidence == "documented" ? 1 : 2;
}

/// Fewest settings first, then what is exact, then the better evidence, then by name.
bool candidate_comes_first(const IdentifyCandidate& a, const IdentifyCandidate& b) {
  if (a.settings.size() != b.settings.size()) return a.settings.size() < b.settings.size();
  if (a.bit_exact != b.bit_exact) return a.bit_exact;
  if (evidence_rank(a) != evidence_rank(b)) return evidence_rank(a) < evidence_rank(b);
  return a.profile < b.profile;
}

}  // namespace

std::vector<int> outcome_classes(const std::vector<IdentifyOutcomes>& outcomes) {
  std::map<IdentifyOutcomes, int> numbers;
  std::vector<int> classes;
  for (const IdentifyOutcomes& list : outcomes) {
    classes.push_back(numbers.emplace(list, static_cast<int>(numbers.size())).first->second);
  }
  return classes;
}

std::vector<size_t> splitting_vectors(const std::vector<IdentifyOutcomes>& of_classes, int count,
                                      const std::vector<int64_t>& cost) {
  std::vector<size_t> chosen;
  std::vector<std::vector<size_t>> groups(1);
  groups.front().resize(of_classes.size());
  std::iota(groups.front().begin(), groups.front().end(), size_t{0});
  while (static_cast<int>(chosen.size()) < count && !groups.empty()) {
    size_t best = cost.size();
    int64_t best_pairs = 0;
    for (size_t v = 0; v < cost.size(); ++v) {
      const int64_t pairs = separated_pairs(of_classes, groups, v);
      if (pairs > best_pairs || (pairs == best_pairs && pairs > 0 && cost[v] < cost[best])) {
        best = v;
        best_pairs = pairs;
      }
    }
    if (best_pairs == 0) break;
    chosen.push_back(best);
    groups = split_groups(of_classes, groups, best);
    std::erase_if(groups, [](const auto& group) { return group.size() < 2; });
  }
  return chosen;
}

void describe_classes(const std::vector<const IdentifyRule*>& rules,
                      const std::vector<int>& classes, const std::vector<int64_t>& vectors,
                      KnobBenches& benches, std::optional<IdentifyForm> form,
                      IdentifyResult& result) {
  const int count = classes.empty() ? 0 : *std::max_element(classes.begin(), classes.end()) + 1;
  struct Group {
    std::vector<IdentifyCandidate> candidates;
    std::vector<const IdentifyCandidate*> of_programs;  ///< the first of each
    size_t programs = 0;
    int64_t vectors = 0;
    std::string program;
  };
  std::vector<Group> groups(static_cast<size_t>(count));
  for (size_t r = 0; r < rules.size(); ++r) {
    Group& group = groups[static_cast<size_t>(classes[r])];
    ++group.programs;
    group.vectors = vectors[r];
    const auto& members = rules[r]->members;
    group.of_programs.push_back(
        &*std::min_element(members.begin(), members.end(), candidate_comes_first));
    for (const IdentifyCandidate& member : rules[r]->members) {
      group.candidates.push_back(member);
      group.candidates.back().reason = rules[r]->program;  // becomes the class's if it is the best
    }
  }
  for (Group& group : groups) {
    std::stable_sort(group.candidates.begin(), group.candidates.end(), candidate_comes_first);
  }
  // The classes of shipped profiles first.
  std::stable_sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
    return candidate_comes_first(a.candidates.front(), b.candidates.front());
  });
  ValuesByClass values;
  EffectiveValues effective(benches, form);
  for (size_t g = 0; g < groups.size(); ++g) {
    Group& group = groups[g];
    const int number = static_cast<int>(g);
    IdentifyClass described;
    described.best = result.candidates.size();
    described.members = group.candidates.size();
    described.programs = group.programs;
    described.vectors = group.vectors;
    described.program = group.candidates.front().reason;
    if (groups.size() <= kFewClasses && group.programs > 1) {
      described.not_separated = undecided_of(values_of(group.of_programs, effective));
    }
    result.classes.push_back(std::move(described));
    size_t read = 0;
    for (IdentifyCandidate& candidate : group.candidates) {
      candidate.reason.clear();
      candidate.equivalence_class = number;
      if (groups.size() > 1 && read++ < kReadMembers) {
        for (const auto& [pointer, value] : effective.of(candidate)) {
          values[pointer][number].insert(value);
        }
      }
      result.candidates.push_back(std::move(candidate));
    }
  }
  result.undecided = undecided_of(values);
}

}  // namespace facsim::backends::detail
