// SPDX-License-Identifier: Apache-2.0
#include "fused/activation_module.h"
#include "fused/batch_norm_module.h"
#include "fused/fusion_matcher-internal.h"
#include "sim/core/error.h"

namespace facsim::fused {

namespace {

/// The fused float module; the nodes' modules give up their parameters.
std::unique_ptr<FusedLinear> fused_module(Network::Impl& network, const FusionMatch& match) {
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
  FusionMatcher matcher(network, patterns);
  const auto count = static_cast<int>(network.nodes.size());
  for (int first = 0; first < count; ++first) {
    const auto match = matcher.longest(first);
    if (!match) continue;
    NetworkNode& head = network.nodes[static_cast<size_t>(first)];
    if (match->nodes.size() == 1) {
      head.pattern = match->pattern->name;
      continue;
    }
    matcher.take(*match);
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
