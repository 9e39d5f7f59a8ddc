// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>

#include "fused/activation_module.h"
#include "fused/batch_norm_module.h"
#include "fused/network_impl-internal.h"
#include "fused/patterns/pattern_registry.h"
#include "sim/core/error.h"

namespace facsim::fused {

namespace {

/// Nodes that match a pattern, first to last, and the input that an addition brings in.
struct Match {
  const FusionPattern* pattern = nullptr;
  std::vector<int> nodes;
  std::optional<int> addend;
};

bool op_matches(const PatternOp& wanted, const FusionPattern& pattern,
                const backends::FloatNode& node) {
  if (wanted.role == Role::activation) {
    if (!pattern.activations.contains(node.op)) return false;
  } else if (node.op != wanted.op && node.op != "Frozen" + wanted.op) {
    return false;  // a frozen batch norm stands wherever a batch norm does
  }
  return !wanted.accepts || wanted.accepts(node);
}

class Matcher {
 public:
  Matcher(const Network::Impl& network, const PatternRegistry& patterns)
      : network_(network), patterns_(patterns), consumers_(network.consumers()) {}

  /// The longest match that starts at a node. Error bad_value, naming both, if two of one length
  /// match.
  std::optional<Match> longest(int first) const {
    std::optional<Match> best;
    for (const FusionPattern& pattern : patterns_.patterns()) {
      const auto match = try_pattern(pattern, first);
      if (!match) continue;
      if (best && best->nodes.size() == match->nodes.size()) {
        throw Error({ErrorCode::bad_value, "node " + node(first).name,
                     "patterns " + best->pattern->name + " and " + pattern.name + " both match",
                     "one longest pattern", "make a predicate tell them apart"});
      }
      if (!best || match->nodes.size() > best->nodes.size()) best = match;
    }
    return best;
  }

 private:
  const NetworkNode& node(int number) const { return network_.nodes[static_cast<size_t>(number)]; }

  std::optional<Match> try_pattern(const FusionPattern& pattern, int first) const {
    Match match{&pattern, {}, {}};
    int current = first;
    for (size_t i = 0; i < pattern.ops.size(); ++i) {
      if (i > 0) {
        const auto& next = consumers_[static_cast<size_t>(current)];
        if (next.size() != 1 || next[0] < 0) return std::nullopt;
        if (pattern.ops[i].role == Role::add) {
          const auto& inputs = node(next[0]).inputs;
          if (inputs.size() != 2) return std::nullopt;
          match.addend = inputs[0] == current ? inputs[1] : inputs[0];
        }
        current = next[0];
      }
      const NetworkNode& candidate = node(current);
      if (candidate.specs.size() != 1 ||
          (i > 0 && candidate.specs[0].profile != node(first).specs[0].profile) ||
          !op_matches(pattern.ops[i], pattern, candidate.specs[0])) {
        return std::nullopt;
      }
      match.nodes.push_back(current);
    }
    return match;
  }

  const Network::Impl& network_;
  const PatternRegistry& patterns_;
  std::vector<std::vector<int>> consumers_;
};

/// The fused float module; the nodes' modules give up their parameters.
std::unique_ptr<FusedLinear> fused_module(Network::Impl& network, const Match& match) {
  const auto module_at = [&](size_t i) -> Module& {
    return *network.nodes[static_cast<size_t>(match.nodes[i])].module;
  };
  LinearParts parts = dynamic_cast<FusedLinear&>(module_at(0)).parts().clone();
  for (size_t i = 1; i < match.nodes.size(); ++i) {
    switch (match.pattern->ops[i].role) {
      case Role::affine:
        parts.bn = dynamic_cast<BatchNormModule&>(module_at(i)).batch_norm().clone("bn.");
        if (parts.bn->features() != parts.op->out_channels()) {
          throw Error({ErrorCode::shape_mismatch, "pattern " + match.pattern->name,
                       std::to_string(parts.bn->features()) + " batch norm channels",
                       std::to_string(parts.op->out_channels()), ""});
        }
        break;
      case Role::add:
        parts.adds = true;
        break;
      case Role::activation: {
        const auto& spec = network.nodes[static_cast<size_t>(match.nodes[i])].specs[0];
        parts.activation = match.pattern->activations.find(spec.op)->second(spec);
        break;
      }
      case Role::linear:
        break;
    }
  }
  if (match.pattern->to_float) return match.pattern->to_float(std::move(parts));
  return std::make_unique<FusedLinear>("nni." + match.pattern->name, std::move(parts));
}

}  // namespace

void fuse_nodes(Network::Impl& network, const PatternRegistry& patterns) {
  const Matcher matcher(network, patterns);
  const auto count = static_cast<int>(network.nodes.size());
  for (int first = 0; first < count; ++first) {
    const auto match = matcher.longest(first);
    if (!match) continue;
    NetworkNode& head = network.nodes[static_cast<size_t>(first)];
    if (match->nodes.size() == 1) {
      head.pattern = match->pattern->name;
      continue;
    }
    // The fused node takes the place and the name of the last one, so that an addend is there
    // before it. The others lose their specs: nothing matches them any more. (An addition both of
    // whose branches end in a linear op so goes to the first of them.)
    NetworkNode fused;
    fused.module = fused_module(network, *match);
    fused.pattern = match->pattern->name;
    fused.inputs = head.inputs;
    if (match->addend) fused.inputs.push_back(*match->addend);
    for (const int n : match->nodes) {
      auto& specs = network.nodes[static_cast<size_t>(n)].specs;
      fused.specs.push_back(specs[0]);
      specs.clear();
    }
    NetworkNode& last = network.nodes[static_cast<size_t>(match->nodes.back())];
    fused.name = last.name;
    last = std::move(fused);
  }
  std::vector<int> number(static_cast<size_t>(count), NetworkNode::kNetworkInput);
  std::vector<NetworkNode> kept;
  for (int i = 0; i < count; ++i) {
    if (network.nodes[static_cast<size_t>(i)].specs.empty()) continue;
    number[static_cast<size_t>(i)] = static_cast<int>(kept.size());
    kept.push_back(std::move(network.nodes[static_cast<size_t>(i)]));
  }
  for (NetworkNode& node : kept) {
    for (int& input : node.inputs) {
      if (input >= 0) input = number[static_cast<size_t>(input)];
    }
  }
  network.output = number[static_cast<size_t>(network.output)];
  network.nodes = std::move(kept);
}

}  // namespace facsim::fused
