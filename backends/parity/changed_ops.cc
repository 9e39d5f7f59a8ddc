// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "backends/parity/element.h"
#include "backends/parity/op_equality-internal.h"
#include "backends/parity/setting_effects-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

ChangedOps::ChangedOps(const IntGraph& graph, const Profile& base, const sim::Graph& executable)
    : graph_(graph),
      base_(base),
      executable_(executable),
      changed_(base),
      lowered_(graph.nodes.size()) {
  for (const IntNode& node : graph_.nodes) {
    const bool own = node.profile.empty() || node.profile == base_.name;
    keys_.push_back(own ? keys_of(node) : std::set<std::string>{});
  }
  for (const sim::Graph::Node& node : executable_.nodes) texts_.push_back(op_text(*node.op));
}

std::set<std::string> ChangedOps::keys_of(const IntNode& node) const {
  std::set<std::string> keys;
  const auto add_op = [&](const std::string& op) {
    for (const auto& [key, rules] : base_.ops) {
      if (key == op || key.starts_with(op + " ")) keys.insert(key);
    }
  };
  if (const std::string own = rules_of_node(graph_, node, base_); !own.empty()) {
    add_op(own.substr(0, own.find(' ')));
  }
  if (node.op == "relu6" || node.op == "clamp" || node.op == "relu") add_op("relu");
  return keys;
}

std::string ChangedOps::rules_name(size_t node) const {
  return keys_[node].empty() ? "" : rules_of_node(graph_, graph_.nodes[node], base_);
}

OpPointer ChangedOps::op(size_t node, const RulesByKey& rules) {
  for (const std::string& key : changed_keys_) changed_.ops[key] = base_.ops.at(key);
  changed_keys_.clear();
  for (const auto& [key, rule] : rules) {
    if (!keys_[node].contains(key)) continue;
    changed_.ops[key] = rule;
    changed_keys_.push_back(key);
  }
  return lower_node(graph_, graph_.nodes[node], changed_);
}

ChangedOps::Lowered& ChangedOps::lowered(size_t node, const RulesByKey& rules) {
  std::vector<Lowered>& known = lowered_[node];
  const auto found = std::find_if(known.begin(), known.end(),
                                  [&](const Lowered& one) { return one.rules == rules; });
  if (found != known.end()) return *found;
  Lowered one;
  one.rules = rules;
  try {
    one.op = op(node, rules);
    const std::optional<std::string> text = op_text(*one.op);
    one.same = text && text == texts_[node];
    one.text = text.value_or("");
  } catch (const Error&) {
    one.refused = true;
  }
  known.push_back(std::move(one));
  return known.back();
}

std::optional<std::vector<ChangedOps::Change>> ChangedOps::find(const RulesByKey& rules) {
  return find(rules, std::vector<char>(graph_.nodes.size(), 1));
}

std::optional<std::vector<ChangedOps::Change>> ChangedOps::find(const RulesByKey& rules,
                                                                const std::vector<char>& of_nodes) {
  std::vector<Change> changes;
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    if (!of_nodes[n]) continue;
    RulesByKey own;
    for (const std::string& key : keys_[n]) {
      if (const auto it = rules.find(key); it != rules.end()) own.insert(*it);
    }
    if (own.empty()) continue;
    Lowered& one = lowered(n, own);
    if (one.refused) return std::nullopt;
    OpPointer op = std::exchange(one.op, nullptr);
    if (!one.same) changes.push_back({n, one.text, std::move(op)});
  }
  return changes;
}

template <class OpOf>
std::vector<InputKind> ChangedOps::inputs_of(size_t node, const OpOf& op_of) const {
  std::vector<InputKind> inputs;
  for (const int t : executable_.nodes[node].inputs) {
    const sim::Graph::TensorInfo& info = executable_.tensors[static_cast<size_t>(t)];
    const auto tensor = std::find_if(graph_.tensors.begin(), graph_.tensors.end(),
                                     [&](const IntTensor& one) { return one.name == info.name; });
    InputKind kind{info.shape, info.dtype, std::nullopt};
    if (tensor != graph_.tensors.end() && tensor->qparams) {
      const sim::IntType type = tensor->qparams->type;
      if (type.storage() == info.dtype) kind.codes = Codes{type.min(), type.max()};
    }
    for (size_t n = 0; n < node; ++n) {
      if (executable_.nodes[n].output != t || !kind.codes) continue;
      if (const std::optional<Codes> given = reachable_codes(*op_of(n))) kind.codes = given;
    }
    inputs.push_back(std::move(kind));
  }
  return inputs;
}

bool ChangedOps::proved_equal(const RulesByKey& a, const RulesByKey& b, ProofBudget& budget) {
  const auto changes_a = find(a), changes_b = find(b);
  if (!changes_a || !changes_b) return false;
  std::map<size_t, std::pair<const Change*, const Change*>> both;
  for (const Change& change : *changes_a) both[change.node].first = &change;
  for (const Change& change : *changes_b) both[change.node].second = &change;
  for (const auto& [n, pair] : both) {
    const auto text = [&, node = n](const Change* change) {
      return change == nullptr ? texts_[node].value_or("") : change->text;
    };
    const std::string text_a = text(pair.first), text_b = text(pair.second);
    const bool known = !text_a.empty() && !text_b.empty();
    if (known && text_a == text_b) continue;
    const auto op_with = [&](size_t node, const RulesByKey& rules, const Change* change) {
      return change == nullptr ? executable_.nodes[node].op : op(node, rules);
    };
    const std::vector<InputKind> inputs = inputs_of(n, [&](size_t before) {
      const auto it = both.find(before);
      return op_with(before, a, it == both.end() ? nullptr : it->second.first);
    });
    std::string key = fmt::format("{}\n{}\n{}\n", n, text_a, text_b);
    for (const InputKind& input : inputs) {
      if (input.codes) key += fmt::format("{}..{} ", input.codes->min, input.codes->max);
    }
    auto proof = known ? proofs_.find(key) : proofs_.end();
    if (proof == proofs_.end()) {
      const bool same =
          same_results(*op_with(n, a, pair.first), *op_with(n, b, pair.second), inputs, budget);
      if (!known && !same) return false;
      if (!known) continue;
      proof = proofs_.emplace(std::move(key), same).first;
    }
    if (!proof->second) return false;
  }
  return true;
}

}  // namespace facsim::backends::detail
