// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fused/network_impl-internal.h"
#include "fused/patterns/pattern_registry.h"

namespace facsim::fused {

/// How far a pattern gets from a node: the nodes that match, first to last, the input that an
/// addition brings in, and why it stops (empty: it matches).
struct FusionMatch {
  const FusionPattern* pattern = nullptr;
  std::vector<int> nodes;
  std::optional<int> addend;
  std::string stop;
};

/// Finds patterns in a network of single modules. Nodes of one match are in no other.
class FusionMatcher {
 public:
  FusionMatcher(const Network::Impl& network, const PatternRegistry& patterns)
      : network_(network), patterns_(patterns), consumers_(network.consumers()) {
    for (const NetworkNode& node : network.nodes) taken_.push_back(node.specs.size() != 1);
  }

  /// The longest match that starts at a node. Error bad_value, naming both, if two of one length
  /// match.
  std::optional<FusionMatch> longest(int first) const;
  /// Every pattern from a node, complete or not.
  std::vector<FusionMatch> attempts(int first) const;
  /// The match's nodes are used up.
  void take(const FusionMatch& match);

  static bool op_matches(const PatternOp& wanted, const FusionPattern& pattern,
                         const backends::FloatNode& node);

 private:
  const NetworkNode& node(int number) const { return network_.nodes[static_cast<size_t>(number)]; }
  FusionMatch attempt(const FusionPattern& pattern, int first) const;
  /// Why `node` is not the pattern's op number `i`; empty if it is.
  std::string refusal(const FusionPattern& pattern, size_t i, int first, int node) const;
  std::string consumers_text(int number) const;

  const Network::Impl& network_;
  const PatternRegistry& patterns_;
  std::vector<std::vector<int>> consumers_;
  std::vector<bool> taken_;
};

}  // namespace facsim::fused
