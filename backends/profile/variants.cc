// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/variants-internal.h"

#include <algorithm>
#include <utility>

#include "backends/profile/profile_fields-internal.h"
#include "sim/core/check.h"

namespace facsim::backends::detail {

namespace {

/// Sets `key` of tensors.<tensor> unless the variant's own rules do.
void set_unless_written(Json& rules, const Json& variant, const char* tensor, const char* key,
                        Json value) {
  const Json::json_pointer written("/tensors/" + std::string(tensor) + "/" + key);
  if (!variant.contains(written)) rules["tensors"][tensor][key] = std::move(value);
}

void take_types_of(const Json& variant, Json& rules) {
  if (!variant.contains("when")) return;
  for (const char* tensor : {"activation", "weight"}) {
    if (!variant["when"].contains(tensor)) continue;
    const sim::IntType type = type_from_word(variant["when"][tensor].get<std::string>());
    set_unless_written(rules, variant, tensor, "bits", type.bits);
    set_unless_written(rules, variant, tensor, "signed", type.is_signed);
  }
  if (!variant["when"].contains("bias")) return;
  const std::string bias = variant["when"]["bias"].get<std::string>();
  const bool is_real = bias == "float32";
  set_unless_written(rules, variant, "bias", "kind", is_real ? "float32" : "integer");
  if (!is_real) set_unless_written(rules, variant, "bias", "bits", type_from_word(bias).bits);
}

/// merge_patch without the members that are no rules, the largest of all.
void merge_rules(Json& rules, const Json& own) {
  for (const auto& [key, value] : own.items()) {
    if (key == "aliases" || key == "variants" || key == "when") continue;
    if (value.is_null()) {
      rules.erase(key);
    } else {
      rules[key].merge_patch(value);
    }
  }
}

DType bias_dtype(const std::string& word) {
  return word == "float32" ? DType::float32 : type_from_word(word).storage();
}

template <class T>
bool may_be_equal(const std::optional<T>& a, const std::optional<T>& b) {
  return !a || !b || *a == *b;
}

template <class T>
bool has_condition(const std::optional<T>& a, const std::optional<T>& b) {
  return !b || (a && *a == *b);
}

}  // namespace

RulesKey RulesKey::parse(std::string_view name) {
  const size_t space = std::min(name.find(' '), name.size());
  return {std::string(name.substr(0, space)),
          std::string(name.substr(std::min(space + 1, name.size())))};
}

std::string RulesKey::name() const { return variant.empty() ? op : op + " " + variant; }

std::vector<std::string> RulesKey::places() const {
  const std::string own = "/ops/" + op;
  if (variant.empty()) return {own, ""};
  return {own + "/variants/" + variant, own, ""};
}

std::string RulesKey::pointer_of(const ResolvedProfile& resolved, std::string_view pointer) const {
  for (const std::string& place : places()) {
    const std::string at = place + std::string(pointer);
    if (resolved.origin.contains(at)) return at;
  }
  return std::string(pointer);
}

std::vector<RulesKey> rules_keys(const Json& resolved) {
  std::vector<RulesKey> keys;
  for (const auto& [op, rules] : resolved["ops"].items()) {
    keys.push_back({op, ""});
    if (!rules.contains("variants")) continue;
    for (const auto& [variant, own] : rules["variants"].items()) keys.push_back({op, variant});
  }
  return keys;
}

Json effective_rules(const Json& resolved, const RulesKey& key) {
  return effective_rules(resolved, resolved["ops"], key);
}

Json effective_rules(const Json& resolved, const Json& ops, const RulesKey& key) {
  Json rules = Json::object();
  for (const std::string& word : rule_keys()) rules[word] = resolved[word];
  const Json& op = ops[key.op];
  merge_rules(rules, op);
  if (!key.variant.empty()) {
    const Json& variant = op["variants"][key.variant];
    merge_rules(rules, variant);
    take_types_of(variant, rules);
  }
  // merge_patch drops nulls that are values (intermediate_bits).
  for (const std::string& word : rule_keys()) {
    fill_defaults(rules[word], *profile_fields().member(word));
  }
  return rules;
}

VariantCondition read_condition(const Json& ops, const RulesKey& key) {
  VariantCondition condition;
  if (key.variant.empty()) return condition;
  const Json& variant = ops[key.op]["variants"][key.variant];
  if (!variant.contains("when")) return condition;
  const Json& when = variant["when"];
  if (when.contains("activation")) {
    condition.activation = type_from_word(when["activation"].get<std::string>());
  }
  if (when.contains("weight")) condition.weight = type_from_word(when["weight"].get<std::string>());
  if (when.contains("bias")) condition.bias = bias_dtype(when["bias"].get<std::string>());
  return condition;
}

sim::IntType type_from_word(std::string_view word) {
  const auto type = sim::int_type_from_string(word);
  FACSIM_CHECK(type.has_value());  // the fields were validated
  return *type;
}

bool overlap(const VariantCondition& a, const VariantCondition& b) {
  return may_be_equal(a.activation, b.activation) && may_be_equal(a.weight, b.weight) &&
         may_be_equal(a.bias, b.bias);
}

bool refines(const VariantCondition& a, const VariantCondition& b) {
  return a != b && has_condition(a.activation, b.activation) && has_condition(a.weight, b.weight) &&
         has_condition(a.bias, b.bias);
}

}  // namespace facsim::backends::detail
