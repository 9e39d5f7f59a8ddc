// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "fused/fusion_matcher-internal.h"
#include "sim/core/error.h"

namespace facsim::fused {

namespace {

/// Explains layers that no match took.
class LoneLayers {
 public:
  /// `ends[n]`: the match whose last node is n.
  LoneLayers(const Network::Impl& network, const PatternRegistry& patterns,
             const FusionMatcher& matcher, const std::vector<std::optional<FusionMatch>>& ends)
      : network_(network), patterns_(patterns), matcher_(matcher), ends_(ends) {}

  /// Empty if no pattern has a place for such a layer behind another.
  std::string reason(int number) const {
    const NetworkNode& node = network_.nodes[static_cast<size_t>(number)];
    const backends::FloatNode& spec = node.specs.front();
    if (!has_place(spec)) return {};
    std::vector<std::string> reasons;
    for (const int input : node.inputs) {
      const std::string text = reason_behind(input, spec);
      if (std::find(reasons.begin(), reasons.end(), text) == reasons.end()) reasons.push_back(text);
    }
    std::string all;
    for (const std::string& text : reasons) all += (all.empty() ? "" : "; ") + text;
    return all;
  }

 private:
  static bool continues(const FusionPattern& pattern, size_t i, const backends::FloatNode& spec) {
    return i < pattern.ops.size() && FusionMatcher::op_matches(pattern.ops[i], pattern, spec);
  }

  bool has_place(const backends::FloatNode& spec) const {
    for (const FusionPattern& pattern : patterns_.patterns()) {
      for (size_t i = 1; i < pattern.ops.size(); ++i) {
        if (continues(pattern, i, spec)) return true;
      }
    }
    return false;
  }

  std::string reason_behind(int input, const backends::FloatNode& spec) const {
    if (input < 0) return "it follows the network's input";
    const NetworkNode& before = network_.nodes[static_cast<size_t>(input)];
    const auto& match = ends_[static_cast<size_t>(input)];
    if (!match) {
      return "it follows " + before.name + " (" + before.specs.front().op +
             "), behind which no pattern goes on";
    }
    for (const FusionMatch& attempt : matcher_.attempts(match->nodes.front())) {
      const bool stops_here =
          attempt.nodes == match->nodes && continues(*attempt.pattern, attempt.nodes.size(), spec);
      if (stops_here) return attempt.stop;
    }
    return "no pattern puts " + spec.op + " behind " + match->pattern->name;
  }

  const Network::Impl& network_;
  const PatternRegistry& patterns_;
  const FusionMatcher& matcher_;
  const std::vector<std::optional<FusionMatch>>& ends_;
};

}  // namespace

std::vector<FusionRemark> Network::fusion_remarks(const PatternRegistry& patterns) const {
  FACSIM_CHECK(!quantized());
  const Impl& network = *impl_;
  const auto count = static_cast<int>(network.nodes.size());
  std::vector<FusionRemark> remarks;
  for (const NetworkNode& node : network.nodes) {
    FACSIM_CHECK(node.specs.size() == 1);
    remarks.push_back({node.name, node.specs.front().op, {}, {}, {}});
  }
  FusionMatcher choosing(network, patterns);
  std::vector<std::optional<FusionMatch>> ends(static_cast<size_t>(count));
  for (int first = 0; first < count; ++first) {
    auto match = choosing.longest(first);
    if (!match) continue;
    choosing.take(*match);
    const std::string& last = network.nodes[static_cast<size_t>(match->nodes.back())].name;
    for (const int n : match->nodes) {
      remarks[static_cast<size_t>(n)].pattern = match->pattern->name;
      remarks[static_cast<size_t>(n)].into = last;
    }
    ends[static_cast<size_t>(match->nodes.back())] = std::move(match);
  }
  const FusionMatcher whole(network, patterns);
  const LoneLayers lone(network, patterns, whole, ends);
  for (int n = 0; n < count; ++n) {
    FusionRemark& remark = remarks[static_cast<size_t>(n)];
    if (remark.pattern.empty()) remark.reason = lone.reason(n);
  }
  return remarks;
}

}  // namespace facsim::fused
