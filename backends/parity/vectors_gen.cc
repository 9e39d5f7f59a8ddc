// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/vectors_gen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "backends/lower/given_arguments.h"
#include "backends/parity/vectors_gen-internal.h"
#include "sim/core/error.h"
#include "sim/ops/linear.h"

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

VectorLayer layer_of(const GeneratedCase& made) {
  VectorLayer layer;
  layer.graph = made.graph;
  for (const int input : made.graph.inputs) {
    const std::string& name = made.graph.tensors[static_cast<size_t>(input)].name;
    layer.inputs.push_back(member(made.arrays, name, made.name));
  }
  return layer;
}

// ---- bare requantization ------------------------------------------------------------------------

Tensor integers(const std::vector<int64_t>& values, DType dtype) {
  Tensor tensor(dtype, {static_cast<int64_t>(values.size())});
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.set_int(i, values[static_cast<size_t>(i)]);
  return tensor;
}

GivenArguments given_of(const GeneratedCase& made) {
  const auto list = [&](std::string_view role) {
    const Tensor& t = member(made.arrays, role, made.name);
    std::vector<int64_t> values;
    for (int64_t i = 0; i < t.numel(); ++i) values.push_back(t.int_at(i));
    return values;
  };
  GivenArguments given;
  const auto scale = member(made.arrays, "scale", made.name).values<float>();
  given.scale.assign(scale.begin(), scale.end());
  given.zero_point = list("zero_point");
  given.clamp_min = list("clamp_min");
  given.clamp_max = list("clamp_max");
  given.output = made.output_type;
  return given;
}

Tensor compute_rows(const GeneratedCase& made, const OpRules& rules) {
  const Tensor& accumulators = member(made.arrays, "accumulator", made.name);
  const sim::Requantizer requantize = make_requantizer(rules, given_of(made));
  Tensor output(made.output_type.storage(), accumulators.shape());
  sim::Events events;
  for (int64_t i = 0; i < output.numel(); ++i) {
    output.set_int(i, requantize.apply(accumulators.int_at(i), i, events));
  }
  return output;
}

/// One row's parameters.
struct Row {
  float scale = 1;
  int64_t zero_point = 0, clamp_min = 0, clamp_max = 0;
};

Row random_row(const OpRules& rules, sim::IntType output, VectorDice& dice,
               VectorStrategy strategy) {
  Row row;
  const auto spread = static_cast<float>(output.bits - 8);
  row.scale = dice.magnitude(-14, -1) * std::exp2(spread);
  if (strategy == VectorStrategy::ties) {
    row.scale = std::ldexp(static_cast<float>(dice.pick({1, 1, 3, 5, 7, 9})),
                           static_cast<int>(dice.between(-12, -2)));
  }
  if (strategy == VectorStrategy::overflow) row.scale = dice.magnitude(-1, 14);
  const bool power_of_two = rules.domain == OpRules::Domain::shift ||
                            rules.activation.scale != quant::TensorSpec::Scale::any;
  if (power_of_two) row.scale = std::ldexp(1.0f, std::ilogb(row.scale));
  const int64_t middle = output.is_signed ? 0 : (output.max() + 1) / 2;
  row.zero_point =
      dice.pick({middle, output.min(), output.max(), dice.between(output.min(), output.max())});
  if (rules.activation.zero_point == quant::TensorSpec::ZeroPoint::zero) row.zero_point = 0;
  row.clamp_min = output.min();
  row.clamp_max = output.max();
  if (dice.one_in(3)) row.clamp_min = row.zero_point;
  if (strategy == VectorStrategy::edges && dice.one_in(3)) {
    row.clamp_max = dice.between(row.clamp_min, output.max());
  }
  return row;
}

std::vector<float> one_scale(float scale) { return {scale}; }

/// The program of one row; nothing if the profile does not take its scale.
std::optional<sim::Requantizer> row_program(const OpRules& rules, sim::IntType output,
                                            const Row& row) {
  GivenArguments given;
  given.scale = one_scale(row.scale);
  given.zero_point = {row.zero_point};
  given.clamp_min = {row.clamp_min};
  given.clamp_max = {row.clamp_max};
  given.output = output;
  try {
    return make_requantizer(rules, given);
  } catch (const Error&) {
    return std::nullopt;
  }
}

GeneratedCase requantize_case(const Profile::Choice& choice, VectorDice& dice,
                              VectorStrategy strategy, std::string name) {
  const OpRules& rules = *choice.rules;
  const sim::IntType acc = rules.accumulator.type();
  GeneratedCase made;
  made.name = std::move(name);
  made.op = "requantize_accumulator";
  made.family = choice.name;
  made.strategy = strategy;
  made.output_type = choice.output;
  std::vector<int64_t> accumulators, zero_point, clamp_min, clamp_max;
  std::vector<float> scale;
  constexpr int kRows = 16;
  for (int tries = 0, rows = 0; rows < kRows && tries < 8 * kRows; ++tries) {
    const Row row = random_row(rules, choice.output, dice, strategy);
    const auto program = row_program(rules, choice.output, row);
    if (!program) continue;
    ++rows;
    for (const int64_t value :
         steered_accumulators(*program, 0, strategy, acc.min(), acc.max(), dice)) {
      sim::Events events;
      try {
        program->apply(value, 0, events);
      } catch (const Error&) {
        continue;  // undefined under the profile: not a vector
      }
      accumulators.push_back(value);
      scale.push_back(row.scale);
      zero_point.push_back(row.zero_point);
      clamp_min.push_back(row.clamp_min);
      clamp_max.push_back(row.clamp_max);
    }
  }
  if (accumulators.empty()) {
    const Row row = random_row(rules, choice.output, dice, VectorStrategy::random);
    GivenArguments given;
    given.scale = one_scale(row.scale);
    given.output = choice.output;
    make_requantizer(rules, given);  // says why
    throw Error({ErrorCode::unsupported, "op " + choice.name,
                 fmt::format("no accumulators for strategy {}", to_string(strategy)), "", ""});
  }
  const bool wide = acc.bits > 32;
  made.arrays = {{"accumulator", integers(accumulators, wide ? DType::int64 : DType::int32)},
                 {"scale", Tensor::from<float>({static_cast<int64_t>(scale.size())}, scale)},
                 {"zero_point", integers(zero_point, DType::int64)},
                 {"clamp_min", integers(clamp_min, DType::int64)},
                 {"clamp_max", integers(clamp_max, DType::int64)}};
  made.golden = compute_rows(made, rules);
  // What the profile derives from the scale, for readers that have multipliers and shifts.
  const sim::Requantizer derived = make_requantizer(rules, given_of(made));
  for (const std::string argument : {"multiplier", "shift", "left_shift"}) {
    const auto found = derived.arguments().integers.find(argument);
    if (found == derived.arguments().integers.end()) continue;
    made.arrays.emplace_back("derived_" + argument, integers(found->second, DType::int64));
  }
  return made;
}

void observe_rows(CoverageCounter& coverage, const GeneratedCase& made, const OpRules& rules) {
  const Tensor& accumulators = member(made.arrays, "accumulator", made.name);
  const sim::Requantizer requantize = make_requantizer(rules, given_of(made));
  const sim::IntType acc = rules.accumulator.type();
  coverage.declare("requantize", requantize, acc.min(), acc.max());
  for (int64_t i = 0; i < accumulators.numel(); ++i) {
    coverage.observe("requantize", requantize, accumulators.int_at(i),
                     requantize.channels() == 1 ? 0 : i);
  }
}

// ---- neighbours ---------------------------------------------------------------------------------

/// The rules that a bare requantization is by: the convolution's, or those of the linear layer on a
/// platform that only has that.
std::string_view requantize_op(const Profile& profile) {
  return profile.ops.contains("conv2d") ? "conv2d" : "linear";
}

/// The case under another profile; nothing if it refuses it.
std::optional<Tensor> compute_under(const GeneratedCase& made, const Profile& profile) {
  try {
    if (made.graph.nodes.empty()) {
      return compute_rows(made, *profile.choose(requantize_op(profile)).rules);
    }
    return compute_layer(layer_of(made), profile);
  } catch (const Error&) {
    return std::nullopt;
  }
}

int64_t differing_values(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return std::max(a.numel(), b.numel());
  int64_t count = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    count += a.dtype() == DType::float32 ? a.data<float>()[i] != b.data<float>()[i]
                                         : a.int_at(i) != b.int_at(i);
  }
  return count;
}

void add_verdict(Neighbour& neighbour, const GeneratedCase& made, const Profile& profile) {
  using Verdict = Neighbour::Verdict;
  const std::optional<Tensor> theirs = compute_under(made, profile);
  if (!theirs) return;
  neighbour.compared += theirs->numel();
  const int64_t differing = differing_values(made.golden, *theirs);
  if (differing > 0 && neighbour.differing == 0) neighbour.case_name = made.name;
  neighbour.differing += differing;
  neighbour.verdict = neighbour.differing > 0 ? Verdict::separated : Verdict::not_separated;
}

/// All of a resolved profile that layers of these ops follow, as text: what only names, describes
/// or trains left out, and the rules of other ops. Equal texts are equal rules; the converse need
/// not hold.
std::string rules_text(std::string_view name_or_path, const ProfileSearch& search,
                       const std::set<std::string>& ops) {
  nlohmann::json rules = nlohmann::json::parse(resolved_profile_json(name_or_path, search));
  for (const char* key : {"$schema", "name", "title", "evidence", "training", "fusion"}) {
    rules.erase(key);
  }
  nlohmann::json own = nlohmann::json::object();
  if (const auto all = rules.find("ops"); all != rules.end() && all->is_object()) {
    for (const std::string& op : ops) {
      if (all->contains(op)) own[op] = all->at(op);
    }
  }
  rules["ops"] = std::move(own);
  return rules.dump();
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

std::string_view to_string(Branch branch) {
  switch (branch) {
    case Branch::tie_positive:
      return "tie positive";
    case Branch::tie_negative:
      return "tie negative";
    case Branch::above_half:
      return "above half";
    case Branch::below_half:
      return "below half";
    case Branch::exact:
      return "exact";
    case Branch::inside:
      return "inside";
    case Branch::low:
      return "low";
    case Branch::high:
      return "high";
    case Branch::wrapped:
      return "wrapped";
  }
  return "?";
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
