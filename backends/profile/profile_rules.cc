// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "backends/profile/profile.h"
#include "backends/profile/variants-internal.h"
#include "backends/text/did_you_mean.h"

namespace facsim::backends {

namespace {

/// A type word of a phrase: "uint8", or "int16x8" for int16 activations and int8 weights.
struct TypeWord {
  sim::IntType activation;
  std::optional<sim::IntType> weight;
};

std::optional<TypeWord> type_word(std::string_view word) {
  const size_t times = word.find('x');
  const auto activation = sim::int_type_from_string(word.substr(0, times));
  if (!activation) return std::nullopt;
  if (times == std::string_view::npos) return TypeWord{*activation, std::nullopt};
  const auto weight = sim::int_type_from_string("int" + std::string(word.substr(times + 1)));
  if (!weight) return std::nullopt;
  return TypeWord{*activation, weight};
}

bool is_met(const VariantCondition& when, sim::IntType activation, std::optional<DType> bias,
            std::optional<sim::IntType> weight) {
  return when.count() > 0 && (!when.activation || *when.activation == activation) &&
         (!when.bias || when.bias == bias) && (!when.weight || when.weight == weight);
}

bool accepts(const std::vector<sim::IntType>& types, sim::IntType type) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

/// The words of `phrase` that are an op or an alias (the longest alias wins), and the rest.
struct SplitPhrase {
  std::string op;
  std::string_view rest;
};

SplitPhrase split_phrase(const Profile& profile, std::string_view phrase) {
  for (size_t end = phrase.size(); end != std::string_view::npos && end > 0;
       end = phrase.find_last_of(" ,", end - 1)) {
    const std::string_view head = phrase.substr(0, end);
    const auto alias = profile.aliases.find(head);
    if (alias == profile.aliases.end() && !profile.ops.contains(head)) continue;
    std::string_view rest = phrase.substr(end);
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    return {alias != profile.aliases.end() ? alias->second : std::string(head), rest};
  }
  std::vector<std::string> known;
  for (const auto& [name, rules] : profile.ops) known.push_back(name);
  for (const auto& [alias, op] : profile.aliases) known.push_back(alias);
  throw Error({ErrorCode::unsupported, "profile " + profile.name,
               "op " + std::string(phrase) + " has no rules", "an op or alias of the profile",
               did_you_mean_hint(phrase, known)});
}

}  // namespace

int64_t OpRules::padding_value(int64_t input_zero_point) const {
  switch (padding) {
    case PaddingValue::input_zero_point:
      return input_zero_point;
    case PaddingValue::zero:
      return 0;
    case PaddingValue::explicit_code:
      return padding_code;
  }
  return input_zero_point;
}

const OpRules& Profile::rules(std::string_view op) const {
  const auto it = ops.find(op);
  if (it == ops.end()) {
    throw Error({ErrorCode::unsupported, "profile " + name,
                 "op " + std::string(op) + " has no rules", "an entry in /ops of the profile", ""});
  }
  return it->second;
}

const OpRules& Profile::rules_for(std::string_view op, sim::IntType activation,
                                  std::optional<DType> bias,
                                  std::optional<sim::IntType> weight) const {
  const OpRules* best = &rules(op);
  const std::string* best_name = nullptr;
  const std::string prefix = std::string(op) + " ";
  for (auto it = ops.lower_bound(prefix); it != ops.end() && it->first.starts_with(prefix); ++it) {
    const VariantCondition& when = it->second.when;
    if (!is_met(when, activation, bias, weight) || when.count() < best->when.count()) continue;
    if (best_name != nullptr && when.count() == best->when.count()) {
      throw Error({ErrorCode::bad_value, "profile " + name,
                   fmt::format("variants \"{}\" and \"{}\" both hold for {} activations",
                               *best_name, it->first, sim::to_string(activation)),
                   "one of them with a further condition", "facsim profile lint shows them"});
    }
    best = &it->second;
    best_name = &it->first;
  }
  return *best;
}

Profile::Choice Profile::choose(std::string_view phrase) const {
  SplitPhrase split = split_phrase(*this, phrase);
  const auto choice = [](const auto& entry) {
    return Choice{entry.first, entry.second.output_types.front(), &entry.second};
  };
  std::string_view rest = split.rest;
  // Words after the alias of a variant name another variant of its op.
  if (!rest.empty() && !rest.starts_with(',')) split.op = detail::RulesKey::parse(split.op).op;
  for (const bool with_prose : {true, false}) {
    if (!with_prose) rest = rest.substr(0, rest.find(','));
    const auto it = ops.find(rest.empty() ? split.op : split.op + " " + std::string(rest));
    if (it != ops.end()) return choice(*it);
  }
  const std::optional<TypeWord> type = type_word(rest);
  if (!type) {
    std::vector<std::string> variants;
    const std::string prefix = split.op + " ";
    for (const auto& [key, rules] : ops) {
      if (key.starts_with(prefix)) variants.push_back(key.substr(prefix.size()));
    }
    throw Error({ErrorCode::unsupported, "profile " + name,
                 fmt::format("{} has no variant \"{}\"", split.op, rest),
                 variants.empty()
                     ? "a type word: int8, uint8, int16, int16x8, ..."
                     : fmt::format("one of {}, or a type word", fmt::join(variants, ", ")),
                 did_you_mean_hint(rest, variants)});
  }
  const OpRules& rules = rules_for(split.op, type->activation, std::nullopt, type->weight);
  if (!accepts(rules.activation_types, type->activation)) {
    throw Error({ErrorCode::unsupported, "profile " + name,
                 fmt::format("{} of {} activations", split.op, sim::to_string(type->activation)),
                 sim::to_string(rules.activation_types.front()),
                 "also_accepts, or a variant, of the profile"});
  }
  if (type->weight && !accepts(rules.weight_types, *type->weight)) {
    throw Error({ErrorCode::unsupported, "profile " + name,
                 fmt::format("{} of {} weights", split.op, sim::to_string(*type->weight)),
                 sim::to_string(rules.weight_types.front()),
                 "also_accepts, or a variant, of the profile"});
  }
  for (const auto& entry : ops) {
    if (&entry.second != &rules) continue;
    Choice chosen = choice(entry);
    const bool own_output = rules.output_types != rules.activation_types;
    if (!own_output) chosen.output = type->activation;
    return chosen;
  }
  return {split.op, type->activation, &rules};
}

}  // namespace facsim::backends
