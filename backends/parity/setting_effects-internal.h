// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/lower/lower.h"
#include "backends/parity/golden_run-internal.h"
#include "backends/parity/knobs-internal.h"
#include "backends/parity/same_results-internal.h"

namespace facsim::backends::detail {

/// A network lowered with other rules: which ops that changes, each lowered once per set of rules.
class ChangedOps {
 public:
  /// `graph`, `base` and `executable` must outlive it.
  ChangedOps(const IntGraph& graph, const Profile& base, const sim::Graph& executable);

  /// A node whose op is another under the rules.
  struct Change {
    size_t node = 0;
    std::string text;  ///< op_text; empty: not known
    OpPointer op;      ///< if it has just been lowered
  };
  /// Nodes whose ops compute by something else; none: the rules cannot change what the network
  /// computes, proved by their programs and the ranges of their accumulators. Nothing if a node
  /// cannot be lowered like that.
  std::optional<std::vector<Change>> find(const RulesByKey& rules);
  /// The same of some nodes; one flag for each.
  std::optional<std::vector<Change>> find(const RulesByKey& rules,
                                          const std::vector<char>& of_nodes);
  OpPointer op(size_t node, const RulesByKey& rules);

  /// Keys of Profile::ops that can have a say in how a node is lowered; none for a node of another
  /// profile.
  const std::set<std::string>& keys(size_t node) const { return keys_[node]; }
  /// The key of a node; empty for a node of another profile.
  std::string rules_name(size_t node) const;

  /// True if it is proved that the network computes the same with either rules: node by node, each
  /// for the codes that the nodes before it can give (same_results).
  bool proved_equal(const RulesByKey& a, const RulesByKey& b, ProofBudget& budget);

 private:
  struct Lowered {
    RulesByKey rules;  ///< of the node's own keys
    bool refused = false, same = false;
    std::string text;
    OpPointer op;  ///< until it is given away
  };
  Lowered& lowered(size_t node, const RulesByKey& rules);
  std::set<std::string> keys_of(const IntNode& node) const;
  /// By the codes that the nodes before it can give, whose ops `op_of` says.
  template <class OpOf>
  std::vector<InputKind> inputs_of(size_t node, const OpOf& op_of) const;

  const IntGraph& graph_;
  const Profile& base_;
  const sim::Graph& executable_;
  Profile changed_;  ///< the base but for changed_keys_
  std::vector<std::string> changed_keys_;
  std::vector<std::set<std::string>> keys_;        ///< by node
  std::vector<std::optional<std::string>> texts_;  ///< by node, of the base's op
  std::vector<std::vector<Lowered>> lowered_;      ///< by node
  std::map<std::string, bool> proofs_;  ///< by node, both texts and the codes of the inputs
};

/// What a change of rules does to the values.
struct Effect {
  int64_t explained = 0, introduced = 0;
  std::vector<size_t> nodes;  ///< whose ops it changes
  std::string values;         ///< equal texts: equal values everywhere
};

/// Effects on one set of images.
class SettingEffects {
 public:
  SettingEffects(const sim::Graph& executable, ChangedOps& ops, GoldenRun run);

  /// Values that differ under the profile as it is.
  int64_t of() const { return of_; }
  int64_t work() const { return run_.work(); }
  /// The nodes that have a say in what golden holds, one flag for each.
  const std::vector<char>& needed() const { return needed_; }

  /// Nothing if the network cannot be run like that, or if it explains no value.
  std::optional<Effect> effect(const RulesByKey& rules, const std::vector<ChangedOps::Change>& ops);
  /// Of nodes with other ops. Error if they cannot be run.
  Effect effect_of_ops(const OpsByNode& ops);
  /// One flag for each value of a node's output; none where golden does not hold it.
  const std::vector<char>& wrong(size_t node) const;
  int64_t wrong_values(size_t node) const { return count_of(wrong(node)); }

 private:
  Effect& add_values(const std::map<size_t, Tensor>& outputs, const std::vector<size_t>& nodes,
                     Effect& effect) const;
  OpPointer op_of(const ChangedOps::Change& change, const RulesByKey& rules);
  const Effect& alone(const ChangedOps::Change& change, const RulesByKey& rules);

  const sim::Graph& executable_;
  ChangedOps& ops_;
  GoldenRun run_;
  std::map<size_t, std::vector<char>> wrong_;  ///< by node
  std::vector<size_t> held_, wrong_nodes_;
  std::vector<char> needed_;
  int64_t of_ = 0;
  /// Of nodes whose inputs and output golden holds: no other node has a say in their effect.
  std::map<std::pair<size_t, std::string>, Effect> alone_;
};

}  // namespace facsim::backends::detail
