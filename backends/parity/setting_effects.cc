// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/setting_effects-internal.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "backends/io/provenance.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

SettingEffects::SettingEffects(const sim::Graph& executable, ChangedOps& ops, GoldenRun run,
                               std::unique_ptr<const SettingEffects> screen)
    : executable_(executable), ops_(ops), run_(std::move(run)), screen_(std::move(screen)) {
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

void SettingEffects::add_values(const OpsByNode& ops, const std::vector<size_t>& nodes,
                                Effect& effect) const {
  const std::map<size_t, Tensor> outputs = run_.changed_outputs(ops, nodes);
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
}

bool SettingEffects::explains(const OpsByNode& ops) const {
  Effect effect;
  add_values(ops, wrong_nodes_, effect);
  return effect.explained > 0;
}

std::optional<Effect> SettingEffects::effect_of_ops(const OpsByNode& ops) const {
  Effect effect;
  bool through_others = true;
  for (const auto& [n, op] : ops) {
    effect.nodes.push_back(n);
    through_others = through_others && !run_.is_alone(n);
  }
  if (screen_ != nullptr && through_others && !screen_->explains(ops)) return std::nullopt;
  if (wrong_nodes_.size() < held_.size() && !explains(ops)) return std::nullopt;
  add_values(ops, held_, effect);
  if (effect.explained == 0) return std::nullopt;
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
  const std::pair key(change.node, *change.text);
  auto it = alone_.find(key);
  if (it == alone_.end()) {
    Effect effect;
    add_values({{change.node, op_of(change, rules)}}, held_, effect);
    it = alone_.emplace(key, std::move(effect)).first;
  }
  return it->second;
}

std::optional<Effect> SettingEffects::effect(const RulesByKey& rules,
                                             const ChangedOps::Changes& changes) {
  Effect effect;
  for (const ChangedOps::Change& change : changes) effect.nodes.push_back(change.node);
  const bool each_alone =
      std::all_of(changes.begin(), changes.end(), [&](const ChangedOps::Change& change) {
        return !change.text->empty() && run_.is_alone(change.node);
      });
  try {
    if (each_alone) {
      // Only layers that differ have values to explain: most settings need no others.
      const bool explains = std::any_of(changes.begin(), changes.end(), [&](const auto& change) {
        return wrong_values(change.node) > 0 && alone(change, rules).explained > 0;
      });
      if (!explains) return std::nullopt;
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
      return effect_of_ops(ops);
    }
  } catch (const Error&) {
    return std::nullopt;  // a layer cannot be run like this: no device is like this
  }
  if (effect.explained == 0) return std::nullopt;
  return effect;
}

}  // namespace facsim::backends::detail
