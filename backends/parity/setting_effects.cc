// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/setting_effects-internal.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "backends/io/provenance.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

SettingEffects::SettingEffects(const sim::Graph& executable, ChangedOps& ops, GoldenRun run)
    : executable_(executable), ops_(ops), run_(std::move(run)) {
  for (size_t n = 0; n < executable_.nodes.size(); ++n) {
    if (!run_.holds(n)) continue;
    wrong_[n] = differing(run_.own(n), *run_.golden(executable_.nodes[n].output));
    const int64_t count = count_of(wrong_[n]);
    of_ += count;
    held_.push_back(n);
    if (count > 0) wrong_nodes_.push_back(n);
  }
  needed_ = run_.needed_for(held_);
}

Effect& SettingEffects::add_values(const std::map<size_t, Tensor>& outputs,
                                   const std::vector<size_t>& nodes, Effect& effect) const {
  for (const size_t n : nodes) {
    const auto it = outputs.find(n);
    if (it == outputs.end()) continue;
    const std::vector<char> wrong =
        differing(it->second, *run_.golden(executable_.nodes[n].output));
    const std::vector<char>& before = wrong_.at(n);
    for (size_t i = 0; i < wrong.size(); ++i) {
      effect.explained += before[i] && !wrong[i];
      effect.introduced += !before[i] && wrong[i];
    }
    effect.values += fmt::format("{}: {}\n", n, backends::fingerprint(std::span(&it->second, 1)));
  }
  return effect;
}

Effect SettingEffects::effect_of_ops(const OpsByNode& ops) {
  Effect effect;
  for (const auto& [n, op] : ops) effect.nodes.push_back(n);
  add_values(run_.changed_outputs(ops, held_), held_, effect);
  return effect;
}

const std::vector<char>& SettingEffects::wrong(size_t node) const {
  static const std::vector<char> none;
  const auto it = wrong_.find(node);
  return it == wrong_.end() ? none : it->second;
}

OpPointer SettingEffects::op_of(const ChangedOps::Change& change, const RulesByKey& rules) {
  return change.op != nullptr ? change.op : ops_.op(change.node, rules);
}

const Effect& SettingEffects::alone(const ChangedOps::Change& change, const RulesByKey& rules) {
  const std::pair key(change.node, change.text);
  auto it = alone_.find(key);
  if (it == alone_.end()) {
    it = alone_.emplace(key, effect_of_ops({{change.node, op_of(change, rules)}})).first;
  }
  return it->second;
}

std::optional<Effect> SettingEffects::effect(const RulesByKey& rules,
                                             const std::vector<ChangedOps::Change>& changes) {
  Effect effect;
  for (const ChangedOps::Change& change : changes) effect.nodes.push_back(change.node);
  const bool each_alone =
      std::all_of(changes.begin(), changes.end(), [&](const ChangedOps::Change& change) {
        return !change.text.empty() && run_.is_alone(change.node);
      });
  try {
    if (each_alone) {
      for (const ChangedOps::Change& change : changes) {
        const Effect& one = alone(change, rules);
        effect.explained += one.explained;
        effect.introduced += one.introduced;
        effect.values += one.values;
      }
    } else {
      OpsByNode ops;
      for (const ChangedOps::Change& change : changes) {
        ops.emplace(change.node, op_of(change, rules));
      }
      // Most settings explain nothing: layers that are equal already need not be run to see that.
      add_values(run_.changed_outputs(ops, wrong_nodes_), wrong_nodes_, effect);
      if (effect.explained == 0) return std::nullopt;
      effect.explained = effect.introduced = 0;
      effect.values.clear();
      add_values(run_.changed_outputs(ops, held_), held_, effect);
    }
  } catch (const Error&) {
    return std::nullopt;  // a layer cannot be run like this: no device is like this
  }
  if (effect.explained == 0) return std::nullopt;
  return effect;
}

}  // namespace facsim::backends::detail
