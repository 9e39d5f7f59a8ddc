// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <memory>
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
    const std::string* text;  ///< op_text, as long as this lives; empty: not known
    OpPointer op;             ///< if it has just been lowered
  };
  using Changes = std::vector<Change>;
  /// What rules change is worked out once as long as this lives. For rules that are asked about
  /// often, and outlive it.
  void remember(const RulesByKey& rules);
  /// Nodes whose ops compute by something else; none: the rules cannot change what the network
  /// computes, proved by their programs and the ranges of their accumulators. Nothing if a node
  /// cannot be lowered like that.
  std::optional<Changes> find(const RulesByKey& rules);
  /// The same of some nodes; one flag for each.
  std::optional<Changes> find(const RulesByKey& rules, const std::vector<char>& of_nodes);
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
  /// Null: the rules say nothing of the node.
  Lowered* lowered(size_t node, const RulesByKey& rules);
  Lowered& lowered_by(size_t node, RulesByKey own);
  std::set<std::string> keys_of(const IntNode& node) const;
  class Network;

  const IntGraph& graph_;
  const Profile& base_;
  const sim::Graph& executable_;
  Profile changed_;  ///< the base but for changed_keys_
  std::vector<std::string> changed_keys_;
  std::vector<std::set<std::string>> keys_;   ///< by node
  std::vector<std::string> texts_;            ///< by node, of the base's op; empty: not known
  std::vector<std::deque<Lowered>> lowered_;  ///< by node
  /// Of remembered rules, by node; nothing: not worked out yet.
  std::map<const RulesByKey*, std::vector<std::optional<Lowered*>>> remembered_;
  std::vector<size_t> producers_;  ///< by tensor: a node; nodes.size(): a network input
  std::vector<std::optional<Codes>> type_codes_;  ///< by tensor; nothing: not codes
  /// By node, text and the codes of the inputs.
  std::map<std::string, std::optional<CodeRanges>> given_codes_;
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
  /// `screen`: of a few of the images, or null. Where a change of ops is seen through other layers,
  /// and explains nothing there, the other images are not run.
  SettingEffects(const sim::Graph& executable, ChangedOps& ops, GoldenRun run,
                 std::unique_ptr<const SettingEffects> screen);

  /// Values that differ under the profile as it is.
  int64_t of() const { return of_; }
  int64_t work() const { return run_.work() + (screen_ == nullptr ? 0 : screen_->work()); }
  /// The nodes that have a say in what golden holds, one flag for each.
  const std::vector<char>& needed() const { return needed_; }

  /// Nothing if the network cannot be run like that, or if it explains no value.
  std::optional<Effect> effect(const RulesByKey& rules, const ChangedOps::Changes& changes);
  /// Of nodes with other ops; nothing if they explain no value. Error if they cannot be run.
  std::optional<Effect> effect_of_ops(const OpsByNode& ops) const;
  /// One flag for each value of a node's output; none where golden does not hold it.
  const std::vector<char>& wrong(size_t node) const;
  bool holds(size_t node) const { return run_.holds(node); }
  int64_t wrong_values(size_t node) const { return count_of(wrong(node)); }

 private:
  void add_values(const OpsByNode& ops, const std::vector<size_t>& nodes, Effect& effect) const;
  /// Most changes explain nothing: layers that are equal already need not be run to see that.
  bool explains(const OpsByNode& ops) const;
  OpPointer op_of(const ChangedOps::Change& change, const RulesByKey& rules);
  const Effect& alone(const ChangedOps::Change& change, const RulesByKey& rules);

  const sim::Graph& executable_;
  ChangedOps& ops_;
  GoldenRun run_;
  std::map<size_t, std::vector<char>> wrong_;  ///< by node
  std::vector<size_t> held_, wrong_nodes_;
  std::vector<char> needed_;
  int64_t of_ = 0;
  std::unique_ptr<const SettingEffects> screen_;
  /// Of nodes whose inputs and output golden holds: no other node has a say in their effect.
  std::map<std::pair<size_t, std::string>, Effect> alone_;
};

}  // namespace facsim::backends::detail
