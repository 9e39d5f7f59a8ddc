// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/diagnose.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "backends/io/provenance.h"
#include "backends/parity/compare.h"
#include "backends/parity/element.h"
#include "backends/parity/knobs-internal.h"
#include "backends/parity/op_equality-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

using OpPointer = std::shared_ptr<const sim::Op>;
using OpsByNode = std::map<size_t, OpPointer>;  // of the nodes whose ops a setting changes

constexpr int64_t kImagesAtOnce = 64;
constexpr std::string_view kDomain = "/requantize/domain";
constexpr size_t kPairBases = 3;  // settings to which every other one is added

int64_t images_of(const std::vector<Tensor>& inputs) { return inputs[0].shape()[0]; }

Tensor take_images(const Tensor& tensor, const std::vector<int64_t>& images) {
  Shape shape = tensor.shape();
  shape[0] = static_cast<int64_t>(images.size());
  Tensor out = Tensor::uninitialized(tensor.dtype(), shape);
  const size_t bytes = tensor.bytes() / static_cast<size_t>(tensor.shape()[0]);
  auto* to = static_cast<std::byte*>(out.raw());
  const auto* from = static_cast<const std::byte*>(tensor.raw());
  for (const int64_t image : images) {
    std::copy_n(from + static_cast<size_t>(image) * bytes, bytes, to);
    to += bytes;
  }
  return out;
}

Shape nchw_of(const Shape& nhwc) { return Shape{nhwc[0], nhwc[3], nhwc[1], nhwc[2]}; }

Tensor nhwc_from_nchw(const Tensor& nchw) {
  const Shape& s = nchw.shape();
  Tensor out = Tensor::uninitialized(nchw.dtype(), Shape{s[0], s[2], s[3], s[1]});
  const size_t width = nchw.bytes() / static_cast<size_t>(nchw.numel());
  auto* to = static_cast<std::byte*>(out.raw());
  const auto* from = static_cast<const std::byte*>(nchw.raw());
  for (int64_t n = 0; n < s[0]; ++n) {
    for (int64_t pixel = 0; pixel < s[2] * s[3]; ++pixel) {
      for (int64_t c = 0; c < s[1]; ++c) {
        const int64_t flat = (n * s[1] + c) * s[2] * s[3] + pixel;
        std::copy_n(from + static_cast<size_t>(flat) * width, width, to);
        to += width;
      }
    }
  }
  return out;
}

/// Whole elements are compared by their bytes: codes, and float32 as the device wrote it.
std::vector<char> differing(const Tensor& a, const Tensor& b) {
  const size_t width = a.bytes() / static_cast<size_t>(std::max<int64_t>(a.numel(), 1));
  std::vector<char> out(static_cast<size_t>(a.numel()));
  const auto* x = static_cast<const char*>(a.raw());
  const auto* y = static_cast<const char*>(b.raw());
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = std::equal(x + i * width, x + (i + 1) * width, y + i * width) ? 0 : 1;
  }
  return out;
}

int64_t count_of(const std::vector<char>& flags) {
  return std::count(flags.begin(), flags.end(), char{1});
}

}  // namespace

namespace detail {

/// A network with what golden says about its tensors (by number of the executable graph).
class GoldenRun {
 public:
  GoldenRun(const sim::Graph& graph, std::vector<Tensor> values, sim::Isa isa)
      : graph_(graph), golden_(std::move(values)) {
    context_.isa = isa;
  }

  const Tensor* golden(int tensor) const {
    const Tensor& t = golden_[static_cast<size_t>(tensor)];
    return t.empty() ? nullptr : &t;
  }
  bool holds(size_t node) const { return golden(graph_.nodes[node].output) != nullptr; }

  /// Outputs of every node as the graph computes them.
  void compute() {
    own_.assign(graph_.nodes.size(), {});
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      own_[n] = run(n, *graph_.nodes[n].op, [&](int t) { return value(t); });
    }
  }
  const Tensor& own(size_t node) const { return own_[node]; }

  /// Outputs that differ from the graph's own when some nodes have other ops, of the nodes that
  /// `targets` need. A node sees golden's inputs where there are any.
  std::map<size_t, Tensor> changed_outputs(const OpsByNode& ops,
                                           const std::vector<size_t>& targets) const {
    const std::vector<char> needed = needed_for(targets);
    std::map<size_t, Tensor> changed;
    const auto value_now = [&](int t) -> const Tensor* {
      if (const Tensor* held = golden(t)) return held;
      const auto it = changed.find(producer(t));
      return it == changed.end() ? value(t) : &it->second;
    };
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (!needed[n]) continue;
      const sim::Graph::Node& node = graph_.nodes[n];
      const auto other = ops.find(n);
      const bool sees_change = std::any_of(node.inputs.begin(), node.inputs.end(), [&](int t) {
        return golden(t) == nullptr && changed.contains(producer(t));
      });
      if (other == ops.end() && !sees_change) continue;
      Tensor output = run(n, other == ops.end() ? *node.op : *other->second, value_now);
      if (output.dtype() != own_[n].dtype() || output.shape() != own_[n].shape()) {
        throw Error({ErrorCode::shape_mismatch, node.name, "another output", "", ""});
      }
      if (count_of(differing(output, own_[n])) > 0) changed.emplace(n, std::move(output));
    }
    return changed;
  }

 private:
  size_t producer(int tensor) const {
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (graph_.nodes[n].output == tensor) return n;
    }
    return graph_.nodes.size();  // a network input
  }
  const Tensor* value(int tensor) const {
    if (const Tensor* held = golden(tensor)) return held;
    return &own_[producer(tensor)];  // network inputs are always held
  }
  template <class Value>
  Tensor run(size_t n, const sim::Op& op, const Value& value_of) const {
    std::vector<const Tensor*> inputs;
    std::vector<Shape> shapes;
    for (const int t : graph_.nodes[n].inputs) {
      inputs.push_back(value_of(t));
      shapes.push_back(inputs.back()->shape());
    }
    Tensor output = Tensor::uninitialized(op.output_dtype(), op.output_shape(shapes));
    op.run(inputs, output, context_);
    return output;
  }
  std::vector<char> needed_for(const std::vector<size_t>& targets) const {
    std::vector<char> needed(graph_.nodes.size(), 0);
    for (const size_t target : targets) needed[target] = 1;
    for (size_t n = graph_.nodes.size(); n-- > 0;) {
      if (!needed[n]) continue;
      for (const int t : graph_.nodes[n].inputs) {
        const size_t from = producer(t);
        if (golden(t) == nullptr && from < needed.size()) needed[from] = 1;
      }
    }
    return needed;
  }

  const sim::Graph& graph_;
  std::vector<Tensor> golden_;  ///< by tensor; inputs always
  std::vector<Tensor> own_;     ///< by node
  sim::RunContext context_{};
};

/// What a change of rules does to the values.
struct Effect {
  int64_t explained = 0, introduced = 0;
  std::set<std::string> ops;
  std::string values;   ///< equal texts: equal values everywhere
  std::string program;  ///< equal texts: equal ops; empty if that cannot be seen
};

struct TriedSettings {
  std::vector<size_t> knobs;
  Effect effect;
};

}  // namespace detail

struct Diagnoser::Impl {
  using Effect = detail::Effect;
  using GoldenRun = detail::GoldenRun;
  using TriedSettings = detail::TriedSettings;

  Impl(const IntGraph& graph, DiagnoseOptions options, const ProfileResolver& other_profiles)
      : graph_(graph),
        options_(std::move(options)),
        base_(load_profile(options_.profile, options_.search, options_.overrides)),
        executable_(lower(graph, base_, other_profiles)) {
    for (const IntNode& node : graph_.nodes) {
      const bool own = node.profile.empty() || node.profile == base_.name;
      rules_.push_back(own ? rules_of(node) : std::set<std::string>{});
    }
    for (const sim::Graph::Node& node : executable_.nodes) {
      op_texts_.push_back(detail::op_text(*node.op));
    }
    std::set<std::string> ops;
    for (const std::set<std::string>& keys : rules_) ops.insert(keys.begin(), keys.end());
    bench_.emplace(options_.profile, options_.search, options_.overrides, ops);
  }

  Diagnosis run(const std::vector<Tensor>& inputs, const NamedTensors& golden) {
    result_ = {};
    golden_.clear();
    layer_of_.clear();
    wrong_.clear();
    held_.clear();
    wrong_nodes_.clear();
    of_ = 0;
    trials_.clear();
    single_score_.clear();
    hold(inputs, golden);
    compare_all();
    if (result_.mismatches == 0) return std::move(result_);
    choose_images();
    try_settings();
    return std::move(result_);
  }

  /// Keys of Profile::ops that can have a say in how a node is lowered.
  std::set<std::string> rules_of(const IntNode& node) const {
    std::set<std::string> keys;
    const auto add_op = [&](const std::string& op) {
      for (const auto& [key, rules] : base_.ops) {
        if (key == op || key.starts_with(op + " ")) keys.insert(key);
      }
    };
    if (const std::string own = rules_of_node(graph_, node, base_); !own.empty()) {
      add_op(own.substr(0, own.find(' ')));
    }
    if (node.op == "relu6" || node.op == "clamp" || node.op == "relu") add_op("relu");
    return keys;
  }

  // --- golden ---

  std::optional<Tensor> fitted(const sim::Graph::TensorInfo& info, const Tensor& golden) {
    Shape shape = info.shape;
    shape[0] = result_.images;
    if (golden.dtype() == info.dtype && golden.shape() == shape) return golden;
    if (golden.dtype() == info.dtype && shape.rank() == 4 && golden.shape() == nchw_of(shape)) {
      result_.notes.push_back(fmt::format("golden \"{}\" is laid out NCHW {}: taken as NHWC {}",
                                          info.name, to_string(golden.shape()), to_string(shape)));
      return nhwc_from_nchw(golden);
    }
    const auto structure =
        compare_structure(info.name, info.dtype, shape, golden.dtype(), golden.shape());
    throw Error({ErrorCode::shape_mismatch, fmt::format("golden \"{}\"", info.name),
                 fmt::format("{} {}", to_string(golden.dtype()), to_string(golden.shape())),
                 fmt::format("{} {}", to_string(info.dtype), to_string(shape)), ""});
  }

  void hold(const std::vector<Tensor>& inputs, const NamedTensors& golden) {
    result_.images = images_of(inputs);
    golden_.resize(executable_.tensors.size());
    for (size_t i = 0; i < executable_.inputs.size(); ++i) {
      golden_[static_cast<size_t>(executable_.inputs[i])] = inputs[i];
    }
    size_t known = 0;
    for (const auto& [name, values] : golden) {
      const auto info =
          std::find_if(executable_.tensors.begin(), executable_.tensors.end(),
                       [&, &wanted = name](const auto& t) { return t.name == wanted; });
      if (info == executable_.tensors.end()) {
        result_.notes.push_back(fmt::format("golden \"{}\" is no tensor of the network", name));
        continue;
      }
      Tensor held = *fitted(*info, values);
      Tensor& slot = golden_[static_cast<size_t>(info - executable_.tensors.begin())];
      if (!slot.empty()) {
        const int64_t differ = count_of(differing(slot, held));
        if (differ > 0) {
          result_.notes.push_back(
              fmt::format("inputs differ: the device was given another \"{}\" ({} of {} values): "
                          "golden's is used",
                          name, differ, held.numel()));
        }
      } else {
        ++known;
      }
      slot = std::move(held);
    }
    if (known == 0) {
      throw Error({ErrorCode::shape_mismatch, "golden", "no output of a node",
                   "an array named as a tensor of the network", ""});
    }
  }

  GoldenRun run_on(const std::vector<int64_t>& images) const {
    std::vector<Tensor> values;
    for (const Tensor& tensor : golden_) {
      values.push_back(tensor.empty() ? Tensor() : take_images(tensor, images));
    }
    GoldenRun run(executable_, std::move(values), options_.isa);
    run.compute();
    return run;
  }

  // --- comparing ---

  void compare_all() {
    for (size_t n = 0; n < executable_.nodes.size(); ++n) {
      const sim::Graph::Node& node = executable_.nodes[n];
      const auto t = static_cast<size_t>(node.output);
      if (golden_[t].empty()) continue;
      layer_of_[n] = result_.layers.size();
      result_.layers.push_back(
          {node.name, graph_.nodes[n].op, executable_.tensors[t].name,
           rules_[n].empty() ? "" : rules_of_node(graph_, graph_.nodes[n], base_), 0, 0});
    }
    mismatches_of_image_.assign(static_cast<size_t>(result_.images), 0);
    for (int64_t begin = 0; begin < result_.images; begin += kImagesAtOnce) {
      std::vector<int64_t> images(
          static_cast<size_t>(std::min(kImagesAtOnce, result_.images - begin)));
      std::iota(images.begin(), images.end(), begin);
      const GoldenRun run = run_on(images);
      for (const auto& [n, layer] : layer_of_) add_comparison(run, n, layer, begin, images.size());
    }
    for (const DiagnosedLayer& layer : result_.layers) {
      result_.compared += layer.compared;
      result_.mismatches += layer.mismatches;
    }
  }

  void add_comparison(const GoldenRun& run, size_t n, size_t layer, int64_t first, size_t images) {
    const std::vector<char> flags = differing(run.own(n), *run.golden(executable_.nodes[n].output));
    const size_t per_image = flags.size() / images;
    for (size_t i = 0; i < flags.size(); ++i) {
      mismatches_of_image_[static_cast<size_t>(first) + i / per_image] += flags[i];
    }
    result_.layers[layer].compared += static_cast<int64_t>(flags.size());
    result_.layers[layer].mismatches += count_of(flags);
  }

  /// Those with the most differing values first, then others; in their own order.
  void choose_images() {
    std::vector<int64_t> images(mismatches_of_image_.size());
    std::iota(images.begin(), images.end(), int64_t{0});
    std::stable_sort(images.begin(), images.end(), [&](int64_t a, int64_t b) {
      return mismatches_of_image_[static_cast<size_t>(a)] >
             mismatches_of_image_[static_cast<size_t>(b)];
    });
    images.resize(
        std::min(images.size(), static_cast<size_t>(std::max<int64_t>(1, options_.images))));
    std::sort(images.begin(), images.end());
    result_.images_tried = static_cast<int64_t>(images.size());
    run_.emplace(run_on(images));
    for (const auto& [n, layer] : layer_of_) {
      wrong_[n] = differing(run_->own(n), *run_->golden(executable_.nodes[n].output));
      const int64_t count = count_of(wrong_[n]);
      of_ += count;
      held_.push_back(n);
      if (count > 0) wrong_nodes_.push_back(n);
    }
  }

  // --- settings ---

  void prepare_own_settings() {
    if (knobs_.empty()) knobs_ = bench_->knobs(KnobScope::own_values);
    if (own_knobs_ == 0) own_knobs_ = knobs_.size();
  }

  void prepare_settings_of_ops() {
    if (knobs_.size() > own_knobs_) return;
    for (detail::KnobRules& one : bench_->knobs(KnobScope::every_op)) {
      const auto end = knobs_.begin() + static_cast<std::ptrdiff_t>(own_knobs_);
      const bool is_new = std::none_of(knobs_.begin(), end, [&](const detail::KnobRules& own) {
        return own.knob.pointer == one.knob.pointer && own.rules == one.rules;
      });
      if (is_new) knobs_.push_back(std::move(one));
    }
  }

  void try_settings() {
    prepare_own_settings();
    try_singles(0, own_knobs_);
    if (!is_explained()) {
      prepare_settings_of_ops();
      try_singles(own_knobs_, knobs_.size());
    }
    const bool wants_pairs = options_.pairs == KnobPairs::always ||
                             (options_.pairs == KnobPairs::when_needed && !is_explained());
    if (wants_pairs) try_pairs();
    rank();
  }

  bool is_explained() const {
    return std::any_of(trials_.begin(), trials_.end(), [&](const TriedSettings& trial) {
      return trial.effect.explained == of_ && trial.effect.introduced == 0;
    });
  }

  void try_singles(size_t from, size_t to) {
    for (size_t k = from; k < to; ++k) try_one({k}, to);
  }

  void try_pairs() {
    sort_trials();
    std::vector<size_t> bases;
    std::set<std::string> seen;
    for (const TriedSettings& trial : trials_) {
      if (trial.effect.explained <= trial.effect.introduced) break;
      if (!seen.insert(trial.effect.values).second) continue;
      bases.push_back(trial.knobs.front());
      if (bases.size() == kPairBases) break;
    }
    // The best single effect of each setting of a pair: a pair must be better than both.
    for (const size_t base : bases) {
      for (size_t k = 0; k < knobs_.size(); ++k) {
        if (k == base || knobs_[k].knob.pointer == knobs_[base].knob.pointer) continue;
        if (std::find(bases.begin(), bases.end(), k) <
            std::find(bases.begin(), bases.end(), base)) {
          continue;  // tried the other way round
        }
        try_one({base, k}, bases.size() * knobs_.size());
      }
    }
  }

  int64_t score_of_single(size_t knob) const {
    const auto it = single_score_.find(knob);
    return it == single_score_.end() ? 0 : it->second;
  }

  void try_one(std::vector<size_t> knobs, size_t total) {
    ++result_.settings_tried;
    if (options_.progress) {
      options_.progress(result_.settings_tried,
                        std::max<int64_t>(static_cast<int64_t>(total), result_.settings_tried));
    }
    std::optional<Effect> effect;
    try {
      effect = effect_of(knobs);
    } catch (const Error&) {
      return;  // the layers cannot be run like this: no device is like this
    }
    if (!effect || effect->explained == 0) return;
    const int64_t score = effect->explained - effect->introduced;
    if (knobs.size() == 1) {
      single_score_[knobs[0]] = score;
    } else if (score <= std::max(score_of_single(knobs[0]), score_of_single(knobs[1]))) {
      return;
    }
    trials_.push_back({std::move(knobs), std::move(*effect)});
  }

  std::optional<Effect> effect_of(const std::vector<size_t>& knobs) {
    std::optional<detail::RulesByKey> both;
    if (knobs.size() > 1) {
      std::vector<ProfileOverride> settings;
      for (const size_t k : knobs) {
        const std::vector<ProfileOverride>& own = knobs_[k].knob.overrides;
        settings.insert(settings.end(), own.begin(), own.end());
      }
      both = bench_->changed_rules(settings);
      if (!both) return std::nullopt;
    }
    const detail::RulesByKey& rules = both ? *both : knobs_[knobs[0]].rules;
    Effect effect;
    const OpsByNode ops = changed_ops(rules, effect);
    if (ops.empty()) return std::nullopt;
    // Most settings explain nothing: layers that are equal already need not be run to see that.
    if (add_values(run_->changed_outputs(ops, wrong_nodes_), wrong_nodes_, effect).explained == 0) {
      return std::nullopt;
    }
    effect.explained = effect.introduced = 0;
    effect.values.clear();
    add_values(run_->changed_outputs(ops, held_), held_, effect);
    return effect;
  }

  OpsByNode changed_ops(const detail::RulesByKey& rules, Effect& effect) {
    Profile changed = base_;
    for (const auto& [key, rule] : rules) changed.ops[key] = rule;
    OpsByNode ops;
    bool all_visible = true;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const bool concerned = std::any_of(rules_[n].begin(), rules_[n].end(),
                                         [&](const auto& key) { return rules.contains(key); });
      if (!concerned) continue;
      OpPointer op = lower_node(graph_, graph_.nodes[n], changed);
      const std::optional<std::string> text = detail::op_text(*op);
      if (text && text == op_texts_[n]) continue;
      all_visible &= text.has_value();
      if (text) effect.program += fmt::format("{}: {}\n", n, *text);
      effect.ops.insert(rules_of_node(graph_, graph_.nodes[n], base_));
      ops.emplace(n, std::move(op));
    }
    if (!all_visible) effect.program.clear();
    return ops;
  }

  Effect& add_values(const std::map<size_t, Tensor>& outputs, const std::vector<size_t>& nodes,
                     Effect& effect) const {
    for (const size_t n : nodes) {
      const auto it = outputs.find(n);
      if (it == outputs.end()) continue;
      const std::vector<char> wrong =
          differing(it->second, *run_->golden(executable_.nodes[n].output));
      const std::vector<char>& before = wrong_.at(n);
      for (size_t i = 0; i < wrong.size(); ++i) {
        effect.explained += before[i] && !wrong[i];
        effect.introduced += !before[i] && wrong[i];
      }
      effect.values += fmt::format("{}: {}\n", n, fingerprint(std::span(&it->second, 1)));
    }
    return effect;
  }

  // --- ranking ---

  /// Fewer settings first, then those that the profile has of itself, what is written with fewer
  /// words, values that more of the known profiles have, and those that touch fewer ops.
  auto simplicity(const TriedSettings& trial) {
    size_t overrides = 0;
    bool invented = false;
    int64_t known = INT64_MAX;
    for (const size_t k : trial.knobs) {
      overrides += knobs_[k].knob.overrides.size();
      invented |= k >= own_knobs_;
      known = std::min(known, profiles_with(k));
    }
    return std::tuple(trial.knobs.size(), invented, overrides, -known, trial.effect.ops.size(),
                      trial.knobs);
  }

  /// In how many of the profiles found by name, of those that scale in the same arithmetic, a rule
  /// has the knob's value, for all ops or for one.
  int64_t profiles_with(size_t k) {
    if (known_values_.empty()) {
      for (const std::string& name : list_profiles(options_.search)) count_values(name);
      known_values_[""] = 0;
      own_domain_ =
          domain_of(profile_settings(options_.profile, options_.search, options_.overrides));
    }
    const Knob& knob = knobs_[k].knob;
    const std::string rule = rule_of(knob.pointer);
    const std::string& domain = rule == kDomain ? knob.to : own_domain_;
    const auto found = known_values_.find(domain + rule + "=" + knob.to);
    return found == known_values_.end() ? 0 : found->second;
  }

  static std::string domain_of(const std::vector<ProfileSetting>& settings) {
    for (const ProfileSetting& setting : settings) {
      if (setting.pointer == kDomain) return setting.value;
    }
    return "";
  }

  void count_values(const std::string& name) {
    std::set<std::string> values;
    try {
      const std::vector<ProfileSetting> settings = profile_settings(name, options_.search);
      const std::string domain = domain_of(settings);
      for (const ProfileSetting& setting : settings) {
        values.insert(domain + rule_of(setting.pointer) + "=" + setting.value);
      }
    } catch (const Error&) {
      return;  // a profile that does not load says nothing
    }
    for (const std::string& value : values) ++known_values_[value];
  }

  /// "/accumulator/bits" of "/ops/conv2d/variants/int16/accumulator/bits".
  static std::string rule_of(const std::string& pointer) {
    std::string rule = pointer;
    for (const std::string_view prefix : {"/ops/", "/variants/"}) {
      if (rule.starts_with(prefix))
        rule = rule.substr(std::min(rule.find('/', prefix.size()), rule.size()));
    }
    return rule;
  }

  void sort_trials() {
    std::stable_sort(trials_.begin(), trials_.end(),
                     [&](const TriedSettings& a, const TriedSettings& b) {
                       const int64_t score_a = a.effect.explained - a.effect.introduced;
                       const int64_t score_b = b.effect.explained - b.effect.introduced;
                       if (score_a != score_b) return score_a > score_b;
                       return simplicity(a) < simplicity(b);
                     });
  }

  std::vector<Knob> knobs_of(const TriedSettings& trial) const {
    std::vector<Knob> out;
    for (const size_t k : trial.knobs) out.push_back(knobs_[k].knob);
    return out;
  }

  void rank() {
    sort_trials();
    const std::vector<ProfileSetting> settings =
        profile_settings(options_.profile, options_.search, options_.overrides);
    std::map<std::string, size_t> class_of;  // by values: the cause
    std::vector<const TriedSettings*> firsts;
    for (const TriedSettings& trial : trials_) {
      if (trial.effect.explained <= trial.effect.introduced) break;
      const auto [it, is_new] = class_of.emplace(trial.effect.values, result_.causes.size());
      if (!is_new) {
        const TriedSettings& first = *firsts[it->second];
        // A pair that does what one of its settings does alone says nothing new.
        if (trial.knobs.size() > first.knobs.size()) continue;
        const bool proved =
            !trial.effect.program.empty() && trial.effect.program == first.effect.program;
        result_.causes[it->second].also.push_back({knobs_of(trial), proved});
        continue;
      }
      firsts.push_back(&trial);
      Cause cause;
      cause.knobs = knobs_of(trial);
      for (const Knob& knob : cause.knobs) cause.places.push_back(place_of(settings, knob));
      cause.explained = trial.effect.explained;
      cause.introduced = trial.effect.introduced;
      cause.of = of_;
      cause.ops.assign(trial.effect.ops.begin(), trial.effect.ops.end());
      result_.causes.push_back(std::move(cause));
    }
  }

  /// Who set what the knob changes: the op's own value, or the profile's.
  static std::string place_of(const std::vector<ProfileSetting>& settings, const Knob& knob) {
    constexpr std::string_view kOps = "/ops/";
    std::vector<std::string> pointers = {knob.pointer};
    if (knob.pointer.starts_with(kOps)) {
      pointers.push_back(knob.pointer.substr(knob.pointer.find('/', kOps.size())));
    }
    for (const std::string& pointer : pointers) {
      const ProfileSetting* member = nullptr;  // of a list or object: the first that a file set
      for (const ProfileSetting& setting : settings) {
        if (setting.pointer == pointer) return setting.place;
        if (setting.pointer.starts_with(pointer + "/") && member == nullptr) member = &setting;
      }
      if (member != nullptr) return member->place;
    }
    return "";
  }

  const IntGraph& graph_;
  DiagnoseOptions options_;
  Profile base_;
  sim::Graph executable_;
  std::vector<std::set<std::string>> rules_;  ///< by node
  Diagnosis result_;
  std::vector<Tensor> golden_;         ///< by tensor of the executable graph, all images
  std::map<size_t, size_t> layer_of_;  ///< node -> result_.layers
  std::vector<int64_t> mismatches_of_image_;

  std::optional<GoldenRun> run_;  ///< on the chosen images
  std::map<size_t, std::vector<char>> wrong_;
  std::vector<size_t> held_, wrong_nodes_;
  int64_t of_ = 0;
  std::vector<std::optional<std::string>> op_texts_;

  std::optional<detail::KnobBench> bench_;
  std::vector<detail::KnobRules> knobs_;  ///< own_knobs_, then those of single ops
  size_t own_knobs_ = 0;
  std::vector<TriedSettings> trials_;
  std::map<size_t, int64_t> single_score_;
  std::map<std::string, int64_t> known_values_;  ///< domain, rule and value: profiles that have it
  std::string own_domain_;
};

Diagnoser::Diagnoser(const IntGraph& graph, DiagnoseOptions options, ProfileResolver other_profiles)
    : impl_(std::make_unique<Impl>(graph, std::move(options), other_profiles)) {}

Diagnoser::~Diagnoser() = default;

Diagnosis Diagnoser::run(const std::vector<Tensor>& inputs, const NamedTensors& golden) {
  if (inputs.empty() || inputs[0].empty()) {
    throw Error({ErrorCode::shape_mismatch, "inputs", "no image", "one or more", ""});
  }
  return impl_->run(inputs, golden);
}

std::vector<Knob> Diagnoser::knobs() {
  impl_->prepare_own_settings();
  std::vector<Knob> knobs;
  for (size_t k = 0; k < impl_->own_knobs_; ++k) knobs.push_back(impl_->knobs_[k].knob);
  return knobs;
}

}  // namespace facsim::backends
