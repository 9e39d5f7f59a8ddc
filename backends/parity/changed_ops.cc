// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "backends/parity/element.h"
#include "backends/parity/op_equality-internal.h"
#include "backends/parity/setting_effects-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

std::string codes_text(const std::vector<InputKind>& inputs) {
  std::string text;
  for (const InputKind& input : inputs) {
    for (int64_t c = 0; input.codes && c < input.codes->channels(); ++c) {
      text += fmt::format("{}..{} ", input.codes->channel(c).min, input.codes->channel(c).max);
    }
    text += "\n";
  }
  return text;
}

}  // namespace

ChangedOps::ChangedOps(const IntGraph& graph, const Profile& base, const sim::Graph& executable)
    : graph_(graph),
      base_(base),
      executable_(executable),
      changed_(base),
      lowered_(graph.nodes.size()),
      producers_(executable.tensors.size(), executable.nodes.size()),
      type_codes_(executable.tensors.size()) {
  for (const IntNode& node : graph_.nodes) {
    const bool own = node.profile.empty() || node.profile == base_.name;
    keys_.push_back(own ? keys_of(node) : std::set<std::string>{});
  }
  for (size_t n = 0; n < executable_.nodes.size(); ++n) {
    texts_.push_back(op_text(*executable_.nodes[n].op).value_or(""));
    producers_[static_cast<size_t>(executable_.nodes[n].output)] = n;
  }
  std::map<std::string_view, const IntTensor*> by_name;
  for (const IntTensor& tensor : graph_.tensors) by_name.emplace(tensor.name, &tensor);
  for (size_t t = 0; t < executable_.tensors.size(); ++t) {
    const auto tensor = by_name.find(executable_.tensors[t].name);
    if (tensor == by_name.end() || !tensor->second->qparams) continue;
    const sim::IntType type = tensor->second->qparams->type;
    if (type.storage() == executable_.tensors[t].dtype) type_codes_[t] = {type.min(), type.max()};
  }
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

void ChangedOps::remember(const RulesByKey& rules) {
  remembered_.try_emplace(&rules, graph_.nodes.size());
}

ChangedOps::Lowered* ChangedOps::lowered(size_t node, const RulesByKey& rules) {
  const auto remembered = remembered_.find(&rules);
  std::optional<Lowered*>* known =
      remembered == remembered_.end() ? nullptr : &remembered->second[node];
  if (known != nullptr && *known) return **known;
  RulesByKey own;
  for (const std::string& key : keys_[node]) {
    if (const auto it = rules.find(key); it != rules.end()) own.insert(*it);
  }
  Lowered* found = own.empty() ? nullptr : &lowered_by(node, std::move(own));
  if (known != nullptr) *known = found;
  return found;
}

ChangedOps::Lowered& ChangedOps::lowered_by(size_t node, RulesByKey own) {
  std::deque<Lowered>& known = lowered_[node];
  const auto found = std::find_if(known.begin(), known.end(),
                                  [&](const Lowered& one) { return one.rules == own; });
  if (found != known.end()) return *found;
  Lowered one;
  one.rules = std::move(own);
  try {
    one.op = op(node, one.rules);
    one.text = op_text(*one.op).value_or("");
    one.same = !one.text.empty() && one.text == texts_[node];
  } catch (const Error&) {
    one.refused = true;
  }
  known.push_back(std::move(one));
  return known.back();
}

std::optional<ChangedOps::Changes> ChangedOps::find(const RulesByKey& rules) {
  return find(rules, std::vector<char>(graph_.nodes.size(), 1));
}

std::optional<ChangedOps::Changes> ChangedOps::find(const RulesByKey& rules,
                                                    const std::vector<char>& of_nodes) {
  Changes changes;
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    if (!of_nodes[n]) continue;
    Lowered* one = lowered(n, rules);
    if (one == nullptr) continue;
    if (one->refused) return std::nullopt;
    OpPointer op = std::exchange(one->op, nullptr);
    if (!one->same) changes.push_back({n, &one->text, std::move(op)});
  }
  return changes;
}

/// The ops of a network under some rules, and the codes that its tensors can hold then.
class ChangedOps::Network {
 public:
  Network(ChangedOps& ops, const RulesByKey& rules, const Changes& changes)
      : ops_(ops), rules_(rules) {
    for (const Change& change : changes) changes_[change.node] = &change;
  }

  bool changes(size_t node) const { return changes_.contains(node); }
  /// Empty: not known.
  const std::string& text(size_t node) const {
    const auto it = changes_.find(node);
    return it == changes_.end() ? ops_.texts_[node] : *it->second->text;
  }
  OpPointer op(size_t node) const {
    return changes(node) ? ops_.op(node, rules_) : ops_.executable_.nodes[node].op;
  }

  std::vector<InputKind> inputs(size_t node) {
    std::vector<InputKind> kinds;
    for (const int t : ops_.executable_.nodes[node].inputs) {
      const sim::Graph::TensorInfo& info = ops_.executable_.tensors[static_cast<size_t>(t)];
      kinds.push_back({info.shape, info.dtype, codes(static_cast<size_t>(t))});
    }
    return kinds;
  }

 private:
  const std::optional<CodeRanges>& codes(size_t tensor) {
    const auto known = codes_.find(tensor);
    if (known != codes_.end()) return known->second;
    std::optional<CodeRanges> found;
    if (const std::optional<Codes> type = ops_.type_codes_[tensor]) found = *type;
    const size_t node = ops_.producers_[tensor];
    if (found && node < ops_.executable_.nodes.size()) {
      if (const std::optional<CodeRanges> given = given_codes(node)) found = given;
    }
    return codes_[tensor] = std::move(found);
  }

  std::optional<CodeRanges> given_codes(size_t node) {
    const std::vector<InputKind> kinds = inputs(node);
    const std::string& own = text(node);
    if (own.empty()) return reachable_codes(*op(node), kinds);
    const std::string key = fmt::format("{}\n{}\n{}", node, own, codes_text(kinds));
    auto known = ops_.given_codes_.find(key);
    if (known == ops_.given_codes_.end()) {
      known = ops_.given_codes_.emplace(key, reachable_codes(*op(node), kinds)).first;
    }
    return known->second;
  }

  ChangedOps& ops_;
  const RulesByKey& rules_;
  std::map<size_t, const Change*> changes_;
  std::map<size_t, std::optional<CodeRanges>> codes_;  ///< by tensor
};

bool ChangedOps::proved_equal(const RulesByKey& a, const RulesByKey& b, ProofBudget& budget) {
  const auto changes_a = find(a), changes_b = find(b);
  if (!changes_a || !changes_b) return false;
  Network under_a(*this, a, *changes_a), under_b(*this, b, *changes_b);
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    if (!under_a.changes(n) && !under_b.changes(n)) continue;
    const std::string &text_a = under_a.text(n), &text_b = under_b.text(n);
    const bool known = !text_a.empty() && !text_b.empty();
    if (known && text_a == text_b) continue;
    const std::vector<InputKind> inputs = under_a.inputs(n);  // b's are equal, so far
    const auto prove = [&] { return same_results(*under_a.op(n), *under_b.op(n), inputs, budget); };
    bool same = false;
    if (known) {
      const std::string key = fmt::format("{}\n{}\n{}\n{}", n, text_a, text_b, codes_text(inputs));
      const auto proof = proofs_.find(key);
      same = proof == proofs_.end() ? prove() : proof->second;
      if (same || budget > 0) proofs_.emplace(key, same);  // else it was given up
    } else {
      same = prove();
    }
    if (!same) return false;
  }
  return true;
}

}  // namespace facsim::backends::detail
