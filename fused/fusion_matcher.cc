// SPDX-License-Identifier: Apache-2.0
#include "fused/fusion_matcher-internal.h"

#include "sim/core/error.h"

namespace facsim::fused {

std::optional<FusionMatch> FusionMatcher::longest(int first) const {
  std::optional<FusionMatch> best;
  for (FusionMatch& match : attempts(first)) {
    if (!match.stop.empty()) continue;
    if (best && best->nodes.size() == match.nodes.size()) {
      throw Error(
          {ErrorCode::bad_value, "node " + node(first).name,
           "patterns " + best->pattern->name + " and " + match.pattern->name + " both match",
           "one longest pattern", "make a predicate tell them apart"});
    }
    if (!best || match.nodes.size() > best->nodes.size()) best = std::move(match);
  }
  return best;
}

std::vector<FusionMatch> FusionMatcher::attempts(int first) const {
  std::vector<FusionMatch> all;
  for (const FusionPattern& pattern : patterns_.patterns()) all.push_back(attempt(pattern, first));
  return all;
}

void FusionMatcher::take(const FusionMatch& match) {
  for (const int n : match.nodes) taken_[static_cast<size_t>(n)] = true;
}

bool FusionMatcher::op_matches(const PatternOp& wanted, const FusionPattern& pattern,
                               const backends::FloatNode& node) {
  if (wanted.role == Role::activation) return pattern.activations.contains(node.op);
  // A frozen batch norm stands wherever a batch norm does.
  return node.op == wanted.op || node.op == "Frozen" + wanted.op;
}

FusionMatch FusionMatcher::attempt(const FusionPattern& pattern, int first) const {
  FusionMatch match{&pattern, {}, {}, {}};
  int current = first;
  for (size_t i = 0; i < pattern.ops.size(); ++i) {
    if (i > 0) {
      const auto& next = consumers_[static_cast<size_t>(current)];
      if (next.size() != 1 || next[0] < 0) {
        match.stop = consumers_text(current);
        return match;
      }
      current = next[0];
    }
    match.stop = refusal(pattern, i, first, current);
    if (!match.stop.empty()) return match;
    if (pattern.ops[i].role == Role::add) {
      const auto& inputs = node(current).inputs;
      match.addend = inputs[0] == match.nodes.back() ? inputs[1] : inputs[0];
    }
    match.nodes.push_back(current);
  }
  return match;
}

std::string FusionMatcher::refusal(const FusionPattern& pattern, size_t i, int first,
                                   int number) const {
  const NetworkNode& candidate = node(number);
  if (taken_[static_cast<size_t>(number)]) return candidate.name + " is fused elsewhere";
  const backends::FloatNode& spec = candidate.specs.front();
  const PatternOp& wanted = pattern.ops[i];
  if (!op_matches(wanted, pattern, spec)) return candidate.name + " is " + spec.op;
  if (wanted.role == Role::add && candidate.inputs.size() != 2) {
    return candidate.name + " does not add two tensors";
  }
  if (i > 0 && spec.profile != node(first).specs.front().profile) {
    return candidate.name + " runs under another profile than " + node(first).name;
  }
  if (wanted.accepts && !wanted.accepts(spec)) {
    return "the condition of " + pattern.name + " does not take " + candidate.name;
  }
  return {};
}

std::string FusionMatcher::consumers_text(int number) const {
  std::string text = "the output of " + node(number).name + " is used by ";
  const auto& next = consumers_[static_cast<size_t>(number)];
  for (size_t i = 0; i < next.size(); ++i) {
    if (i > 0) text += i + 1 == next.size() ? " and " : ", ";
    text += next[i] < 0 ? "the network's output" : node(next[i]).name;
  }
  return next.empty() ? "the output of " + node(number).name + " is not used" : text;
}

}  // namespace facsim::fused
