// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/diagnose.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "backends/parity/cause_ranking-internal.h"
#include "backends/parity/golden_run-internal.h"
#include "backends/parity/knobs-internal.h"
#include "backends/parity/layer_findings-internal.h"
#include "backends/parity/setting_effects-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

constexpr int64_t kImagesAtOnce = 64;
constexpr size_t kScreenImages = 4;  // on which a setting must explain something to be run on all
constexpr size_t kPairBases = 3;     // settings to which every other one is added

std::vector<int64_t> images_from(int64_t first, int64_t count) {
  std::vector<int64_t> images(static_cast<size_t>(count));
  std::iota(images.begin(), images.end(), first);
  return images;
}

}  // namespace

int64_t Diagnosis::explained_by_findings() const {
  // One layer may have several findings, of the same values; a finding of a layer that golden does
  // not hold, or of all layers, is of all values.
  std::map<std::string, int64_t> of_node;
  for (const LayerFinding& finding : findings) {
    int64_t& explained = of_node[finding.node];
    explained = std::max(explained, finding.explained);
  }
  int64_t sum = 0;
  for (const auto& [node, explained] : of_node) sum += explained;
  return std::min(sum, mismatches_tried);
}

Diagnosis::Verdict Diagnosis::verdict() const {
  if (mismatches == 0) return Verdict::equal;
  if (!causes.empty() && causes[0].explains_all()) return Verdict::setting;
  if (!findings.empty() && 10 * explained_by_findings() >= 9 * mismatches_tried) {
    return Verdict::findings;
  }
  return !causes.empty() && causes[0].explains_most() ? Verdict::setting : Verdict::unexplained;
}

std::string_view to_string(Diagnosis::Verdict verdict) {
  switch (verdict) {
    case Diagnosis::Verdict::equal:
      return "equal";
    case Diagnosis::Verdict::setting:
      return "setting";
    case Diagnosis::Verdict::findings:
      return "findings";
    case Diagnosis::Verdict::unexplained:
      return "unexplained";
  }
  return "";
}

struct Diagnoser::Impl {
  using GoldenRun = detail::GoldenRun;
  using TriedSettings = detail::TriedSettings;
  using RulesPointer = std::shared_ptr<const detail::RulesByKey>;

  Impl(const IntGraph& graph, DiagnoseOptions options, const ProfileResolver& other_profiles)
      : graph_(graph),
        options_(std::move(options)),
        base_(load_profile(options_.profile, options_.search, options_.overrides)),
        executable_(lower(graph, base_, other_profiles)),
        ops_(graph, base_, executable_),
        ranking_(options_, knobs_, own_knobs_) {
    std::set<std::string> ops;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      ops.insert(ops_.keys(n).begin(), ops_.keys(n).end());
    }
    bench_.emplace(options_.profile, options_.search, options_.overrides, ops);
  }

  Diagnosis run(const std::vector<Tensor>& inputs, const NamedTensors& golden) {
    result_ = {};
    layer_of_.clear();
    trials_.clear();
    single_score_.clear();
    out_of_work_ = false;
    result_.images = inputs[0].shape()[0];
    golden_ = detail::golden_tensors(executable_, inputs, golden, result_.notes);
    find_transposed();
    compare_all();
    if (result_.mismatches == 0) return std::move(result_);
    choose_images();
    try_settings();
    return std::move(result_);
  }

  GoldenRun run_on(const std::vector<int64_t>& images) const {
    std::vector<Tensor> values;
    for (const Tensor& tensor : golden_) {
      values.push_back(tensor.empty() ? Tensor() : detail::take_images(tensor, images));
    }
    GoldenRun run(executable_, std::move(values), options_.isa);
    run.compute();
    return run;
  }

  // --- comparing ---

  /// Shapes do not show NCHW where C = H = W: values do. A tensor that is found changes what the
  /// layers after it see, so that each is looked for by itself.
  void find_transposed() {
    const bool possible = std::any_of(golden_.begin(), golden_.end(), [](const Tensor& tensor) {
      return tensor.shape().rank() == 4 && detail::nchw_of(tensor.shape()) == tensor.shape();
    });
    if (!possible) return;
    for (size_t found = 0; found <= executable_.nodes.size(); ++found) {
      const GoldenRun run = run_on(images_from(0, std::min<int64_t>(result_.images, 4)));
      const bool is_new = std::any_of(
          executable_.nodes.begin(), executable_.nodes.end(), [&](const sim::Graph::Node& node) {
            const auto n = static_cast<size_t>(&node - executable_.nodes.data());
            if (!run.holds(n)) return false;
            if (!detail::is_nchw_by_values(run.own(n), *run.golden(node.output))) return false;
            Tensor& golden = golden_[static_cast<size_t>(node.output)];
            golden = detail::nhwc_from_nchw(golden);
            result_.notes.push_back("golden \"" +
                                    executable_.tensors[static_cast<size_t>(node.output)].name +
                                    "\" is laid out NCHW, as its values show: taken as NHWC " +
                                    to_string(golden.shape()));
            return true;
          });
      if (!is_new) return;
    }
  }

  void compare_all() {
    for (size_t n = 0; n < executable_.nodes.size(); ++n) {
      const sim::Graph::Node& node = executable_.nodes[n];
      const auto t = static_cast<size_t>(node.output);
      if (golden_[t].empty()) continue;
      layer_of_[n] = result_.layers.size();
      result_.layers.push_back(
          {node.name, graph_.nodes[n].op, executable_.tensors[t].name, ops_.rules_name(n), 0, 0});
    }
    mismatches_of_image_.assign(static_cast<size_t>(result_.images), 0);
    for (int64_t begin = 0; begin < result_.images; begin += kImagesAtOnce) {
      const std::vector<int64_t> images =
          images_from(begin, std::min(kImagesAtOnce, result_.images - begin));
      const GoldenRun run = run_on(images);
      for (const auto& [n, layer] : layer_of_) add_comparison(run, n, layer, begin, images.size());
    }
    for (const DiagnosedLayer& layer : result_.layers) {
      result_.compared += layer.compared;
      result_.mismatches += layer.mismatches;
    }
  }

  void add_comparison(const GoldenRun& run, size_t n, size_t layer, int64_t first, size_t images) {
    const std::vector<char> flags =
        detail::differing(run.own(n), *run.golden(executable_.nodes[n].output));
    const size_t per_image = flags.size() / images;
    for (size_t i = 0; i < flags.size(); ++i) {
      mismatches_of_image_[static_cast<size_t>(first) + i / per_image] += flags[i];
    }
    result_.layers[layer].compared += static_cast<int64_t>(flags.size());
    result_.layers[layer].mismatches += detail::count_of(flags);
  }

  /// Those with the most differing values, then others; each group in its own order.
  void choose_images() {
    std::vector<int64_t> images = images_from(0, result_.images);
    std::stable_sort(images.begin(), images.end(), [&](int64_t a, int64_t b) {
      return mismatches_of_image_[static_cast<size_t>(a)] >
             mismatches_of_image_[static_cast<size_t>(b)];
    });
    images.resize(
        std::min(images.size(), static_cast<size_t>(std::max<int64_t>(1, options_.images))));
    result_.images_tried = static_cast<int64_t>(images.size());
    std::unique_ptr<detail::SettingEffects> screen;
    if (images.size() >= 2 * kScreenImages) {
      const std::vector<int64_t> few(images.begin(), images.begin() + kScreenImages);
      screen = std::make_unique<detail::SettingEffects>(executable_, ops_, run_on(few), nullptr);
    }
    std::sort(images.begin(), images.end());
    effects_.emplace(executable_, ops_, run_on(images), std::move(screen));
  }

  // --- settings ---

  void prepare_own_settings() {
    if (knobs_.empty()) {
      for (detail::KnobRules& one : bench_->knobs(KnobScope::own_values)) {
        knobs_.push_back(std::move(one));
      }
    }
    if (own_knobs_ == 0) own_knobs_ = knobs_.size();
    remember_settings();
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
    remember_settings();
  }

  void remember_settings() {
    for (const detail::KnobRules& one : knobs_) ops_.remember(one.rules);
  }

  void try_settings() {
    result_.mismatches_tried = effects_->of();
    prepare_own_settings();
    try_singles(0, own_knobs_);
    if (!is_explained() && !out_of_work_) {
      prepare_settings_of_ops();
      try_singles(own_knobs_, knobs_.size());
    }
    const bool wants_pairs = options_.pairs == KnobPairs::always ||
                             (options_.pairs == KnobPairs::when_needed && !is_explained());
    if (wants_pairs && !out_of_work_) try_pairs();
    result_.complete = !out_of_work_;
    result_.findings = detail::layer_findings(graph_, base_, *effects_);
    if (!is_explained() && result_.findings.empty()) {
      result_.findings = detail::channel_findings(graph_, executable_, *effects_);
    }
    result_.causes = ranking_.causes(trials_, effects_->of(), ops_, options_.proof_evaluations);
  }

  bool is_explained() const {
    return std::any_of(trials_.begin(), trials_.end(), [&](const TriedSettings& trial) {
      return trial.effect.explained == effects_->of() && trial.effect.introduced == 0;
    });
  }

  void try_singles(size_t from, size_t to) {
    for (size_t k = from; k < to; ++k) try_one({k}, to);
  }

  void try_pairs() {
    ranking_.sort(trials_);
    std::vector<size_t> bases;
    std::set<std::string> seen;
    for (const TriedSettings& trial : trials_) {
      if (trial.score() <= 0) break;
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
    out_of_work_ |= options_.work_limit > 0 && effects_->work() > options_.work_limit;
    if (out_of_work_) return;
    ++result_.settings_tried;
    if (options_.progress) {
      options_.progress(result_.settings_tried,
                        std::max<int64_t>(static_cast<int64_t>(total), result_.settings_tried));
    }
    const RulesPointer rules = rules_of(knobs);
    if (rules == nullptr) return;
    const auto changes = ops_.find(*rules, effects_->needed());
    if (!changes) return;
    if (changes->empty()) {
      ++result_.settings_without_effect;
      return;
    }
    std::optional<detail::Effect> effect = effects_->effect(*rules, *changes);
    if (!effect) return;
    TriedSettings trial{std::move(knobs), rules, std::move(*effect)};
    if (trial.knobs.size() == 1) {
      single_score_[trial.knobs[0]] = trial.score();
    } else if (trial.score() <=
               std::max(score_of_single(trial.knobs[0]), score_of_single(trial.knobs[1]))) {
      return;
    }
    trials_.push_back(std::move(trial));
  }

  /// Null: no profile has these settings.
  RulesPointer rules_of(const std::vector<size_t>& knobs) const {
    if (knobs.size() == 1) return {RulesPointer(), &knobs_[knobs[0]].rules};  // not its owner
    std::vector<ProfileOverride> settings;
    for (const size_t k : knobs) {
      const std::vector<ProfileOverride>& own = knobs_[k].knob.overrides;
      settings.insert(settings.end(), own.begin(), own.end());
    }
    std::optional<detail::RulesByKey> rules = bench_->changed_rules(settings);
    return rules ? std::make_shared<const detail::RulesByKey>(std::move(*rules)) : nullptr;
  }

  const IntGraph& graph_;
  DiagnoseOptions options_;
  Profile base_;
  sim::Graph executable_;
  detail::ChangedOps ops_;
  std::optional<detail::KnobBench> bench_;
  std::deque<detail::KnobRules> knobs_;  ///< own_knobs_, then those of single ops
  size_t own_knobs_ = 0;
  detail::CauseRanking ranking_;

  Diagnosis result_;
  std::vector<Tensor> golden_;         ///< by tensor of the executable graph, all images
  std::map<size_t, size_t> layer_of_;  ///< node -> result_.layers
  std::vector<int64_t> mismatches_of_image_;
  std::optional<detail::SettingEffects> effects_;  ///< on the chosen images
  std::vector<TriedSettings> trials_;
  std::map<size_t, int64_t> single_score_;
  bool out_of_work_ = false;
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
