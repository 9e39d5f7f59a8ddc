// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/vectors_gen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "backends/parity/vectors_gen_suite-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace detail {

namespace {

constexpr std::array kStrategies{VectorStrategy::ties, VectorStrategy::edges,
                                 VectorStrategy::overflow, VectorStrategy::exhaustive8,
                                 VectorStrategy::random};

/// Role of a graph's tensor in the arrays of a case: the tensor's own name.
NamedTensors arrays_of(const VectorLayer& layer) {
  NamedTensors arrays;
  for (size_t i = 0; i < layer.inputs.size(); ++i) {
    const auto number = static_cast<size_t>(layer.graph.inputs[i]);
    arrays.emplace_back(layer.graph.tensors[number].name, layer.inputs[i]);
  }
  for (const IntTensor& tensor : layer.graph.tensors) {
    if (tensor.data) arrays.emplace_back(tensor.name, *tensor.data);
  }
  return arrays;
}

GeneratedCase case_of(const VectorTarget& target, const VectorLayer& layer, VectorStrategy strategy,
                      std::string name) {
  GeneratedCase made;
  made.name = std::move(name);
  made.op = made.family = target.rules_op.substr(0, target.rules_op.find(' '));
  made.strategy = strategy;
  made.graph = layer.graph;
  made.arrays = arrays_of(layer);
  made.golden = compute_layer(layer, target.profile);
  made.output_type = target.output;
  return made;
}

/// The generator of one suite.
class SuiteMaker {
 public:
  SuiteMaker(const VectorGenOptions& options, const Profile& profile)
      : options_(options), profile_(profile) {
    suite_.profile = profile.name;
    suite_.fingerprint = profile.fingerprint;
    suite_.op = options.op;
    suite_.seed = options.seed;
    total_ = static_cast<int64_t>(options.strategies.size()) * options.count;
    bare_ = options.op == "requantize";
    if (bare_) {
      if (!profile.ops.contains(requantize_op(profile))) {
        throw Error({ErrorCode::unsupported, "op requantize",
                     "profile " + profile.name + " has neither conv2d nor linear",
                     "a profile whose layers have accumulators", ""});
      }
      choice_ = profile.choose(requantize_op(profile));
    } else {
      target_.emplace(vector_target(profile, options.op));
    }
  }

  GeneratedSuite make() {
    for (const VectorStrategy strategy : options_.strategies) add_strategy(strategy);
    if (suite_.cases.empty()) {
      throw Error({ErrorCode::unsupported, "op " + options_.op,
                   "none of the strategies applies to it", "", "try --strategy random"});
    }
    if (options_.separate) add_neighbours();
    suite_.coverage = coverage_.result();
    return std::move(suite_);
  }

 private:
  VectorDice dice_for(VectorStrategy strategy, int64_t index) const {
    const uint64_t salt = static_cast<uint64_t>(strategy) * 1000003 + static_cast<uint64_t>(index);
    return VectorDice(options_.seed * 0x9e3779b97f4a7c15u + salt);
  }

  std::optional<GeneratedCase> try_case(VectorStrategy strategy, int64_t index) {
    VectorDice dice = dice_for(strategy, index);
    std::string name =
        fmt::format("{}_{}_{}_{}", profile_.name, options_.op, to_string(strategy), index);
    for (char& c : name) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
      if (!plain) c = '_';
    }
    if (bare_) return requantize_case(*choice_, dice, strategy, std::move(name));
    return case_of(*target_, make_layer(*target_, dice, strategy), strategy, std::move(name));
  }

  /// exhaustive8 is for operands of up to 8 bits and ops that work code by code.
  bool applies(VectorStrategy strategy) const {
    if (strategy != VectorStrategy::exhaustive8) return true;
    if (bare_ || target_->input.bits > 8) return false;
    VectorDice dice = dice_for(strategy, 0);
    const VectorLayer probe = make_layer(*target_, dice, strategy);
    const int64_t codes = target_->input.max() - target_->input.min() + 1;
    for (const Tensor& x : probe.inputs) {
      if (x.dtype() == DType::float32) return false;
      if (x.numel() != (probe.inputs.size() == 1 ? codes : codes * codes)) return false;
    }
    return true;
  }

  void add(GeneratedCase made) {
    if (bare_) {
      observe_rows(coverage_, made, *choice_->rules);
    } else {
      const VectorLayer layer = layer_of(made);
      observe_layer(coverage_, *lower_layer(layer, profile_), layer, made.golden);
    }
    suite_.cases.push_back(std::move(made));
  }

  void report_progress() const {
    if (options_.progress) options_.progress(done_, total_);
  }

  void add_strategy(VectorStrategy strategy) {
    if (!applies(strategy)) return;
    // All pairs of codes are 65536 values a case: two sets of scales are enough.
    const bool pairs =
        strategy == VectorStrategy::exhaustive8 && !bare_ && target_->input.bits <= 8;
    const int64_t count = pairs ? std::min<int64_t>(options_.count, 2) : options_.count;
    for (int64_t i = 0; i < count; ++i) {
      try {
        if (auto made = try_case(strategy, i)) add(std::move(*made));
      } catch (const Error&) {
        // A strategy may have nothing to steer (no accumulator leaves its width); but an op that
        // no strategy can make is an error with its reason.
        if (strategy == VectorStrategy::random ||
            (suite_.cases.empty() && options_.strategies.size() == 1)) {
          throw;
        }
      }
      ++done_;
      report_progress();
    }
  }

  /// Ops whose rules the cases follow, with those that lowering may take in their place.
  std::set<std::string> followed_ops() const {
    if (bare_) return {"conv2d", "linear"};
    const std::string op = target_->rules_op.substr(0, target_->rules_op.find(' '));
    if (target_->op == "conv2d") return {"conv2d", "depthwise_conv2d"};
    if (op == "relu6" || op == "clamp") return {op, "relu"};
    return {op};
  }

  void add_neighbours() {
    constexpr int64_t kSearches = 100;
    const std::set<std::string> ops = followed_ops();
    const std::string rules = rules_text(options_.profile, options_.search, ops);
    for (const std::string& name : list_profiles(options_.search)) {
      if (name == profile_.name) continue;
      Neighbour neighbour;
      neighbour.profile = name;
      std::optional<Profile> other;
      try {
        other = load_profile(name, options_.search);
      } catch (const Error&) {
        continue;  // not a profile of this build
      }
      if (other->fingerprint == profile_.fingerprint) continue;
      if (rules_text(name, options_.search, ops) == rules) {
        neighbour.verdict = Neighbour::Verdict::same_rules;
        suite_.neighbours.push_back(std::move(neighbour));
        continue;
      }
      for (const GeneratedCase& made : suite_.cases) {
        add_verdict(neighbour, made, *other);
        report_progress();
      }
      for (int64_t i = 0; i < kSearches && neighbour.verdict == Neighbour::Verdict::not_separated;
           ++i) {
        search(neighbour, *other, i);
        report_progress();
      }
      suite_.neighbours.push_back(std::move(neighbour));
    }
  }

  /// One more case of each directed strategy; it is kept if it tells the profiles apart.
  void search(Neighbour& neighbour, const Profile& other, int64_t index) {
    constexpr std::array kSearched{VectorStrategy::ties, VectorStrategy::random,
                                   VectorStrategy::edges, VectorStrategy::overflow};
    const VectorStrategy strategy = kSearched[static_cast<size_t>(index) % kSearched.size()];
    try {
      auto made = try_case(strategy, 1000 + index);
      if (!made) return;
      Neighbour verdict = neighbour;
      add_verdict(verdict, *made, other);
      if (verdict.verdict != Neighbour::Verdict::separated) return;
      neighbour = std::move(verdict);
      add(std::move(*made));
    } catch (const Error&) {
      // nothing of this kind under this profile
    }
  }

  const VectorGenOptions& options_;
  const Profile& profile_;
  bool bare_ = false;
  std::optional<Profile::Choice> choice_;
  std::optional<VectorTarget> target_;
  CoverageCounter coverage_;
  GeneratedSuite suite_;
  int64_t done_ = 0, total_ = 0;
};

}  // namespace

VectorLayer layer_of(const GeneratedCase& made) {
  VectorLayer layer;
  layer.graph = made.graph;
  for (const int input : made.graph.inputs) {
    const std::string& name = made.graph.tensors[static_cast<size_t>(input)].name;
    layer.inputs.push_back(member(made.arrays, name, made.name));
  }
  return layer;
}

}  // namespace detail

std::string_view to_string(VectorStrategy strategy) {
  switch (strategy) {
    case VectorStrategy::ties:
      return "ties";
    case VectorStrategy::edges:
      return "edges";
    case VectorStrategy::overflow:
      return "overflow";
    case VectorStrategy::exhaustive8:
      return "exhaustive8";
    case VectorStrategy::random:
      return "random";
  }
  return "?";
}

VectorStrategy vector_strategy_from_string(std::string_view word) {
  for (const VectorStrategy strategy : detail::kStrategies) {
    if (to_string(strategy) == word) return strategy;
  }
  throw Error({ErrorCode::bad_value, "strategy", "\"" + std::string(word) + "\"",
               "ties, edges, overflow, exhaustive8 or random", ""});
}

int64_t GeneratedSuite::values() const {
  int64_t count = 0;
  for (const GeneratedCase& made : cases) count += made.golden.numel();
  return count;
}

int64_t GeneratedSuite::count(BranchCoverage::State state) const {
  return std::count_if(coverage.begin(), coverage.end(),
                       [&](const BranchCoverage& entry) { return entry.state == state; });
}

GeneratedSuite generate_vectors(const VectorGenOptions& options) {
  if (options.count < 1 || options.count > 1000) {
    throw Error({ErrorCode::bad_value, "count", std::to_string(options.count), "1..1000", ""});
  }
  VectorGenOptions once = options;
  std::set<VectorStrategy> seen;
  std::erase_if(once.strategies, [&](VectorStrategy s) { return !seen.insert(s).second; });
  const Profile profile = load_profile(once.profile, once.search);
  return detail::SuiteMaker(once, profile).make();
}

}  // namespace facsim::backends
