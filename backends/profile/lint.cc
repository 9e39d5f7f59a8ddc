// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>

#include "backends/profile/lint_steps-internal.h"
#include "backends/profile/profile.h"
#include "backends/profile/profile_fields-internal.h"
#include "backends/profile/resolve-internal.h"
#include "backends/profile/variants-internal.h"

namespace facsim::backends {

namespace {

using detail::Json;
using detail::ResolvedProfile;
using detail::RulesKey;

/// Signed bits that hold every integer in [-magnitude, magnitude].
int signed_bits(int64_t magnitude) {
  return 1 + static_cast<int>(std::bit_width(static_cast<uint64_t>(magnitude)));
}

bool multiplies(const std::string& op) {
  return op == "conv2d" || op == "depthwise_conv2d" || op == "linear";
}

class Linter {
 public:
  explicit Linter(const ResolvedProfile& resolved, const Profile& profile)
      : resolved_(resolved), profile_(profile) {}

  std::vector<LintFinding> run() {
    for (const auto& [name, rules] : profile_.ops) {
      key_ = RulesKey::parse(name);
      rules_ = &rules;
      json_ = detail::effective_rules(resolved_.value, key_);
      if (multiplies(key_.op)) {
        accumulator();
        multiplier();
        bias();
      }
      weights();
      activation();
      unused();
      overlaps();
      program();
    }
    key_ = {};
    whole_profile();
    std::stable_sort(
        findings_.begin(), findings_.end(),
        [](const LintFinding& a, const LintFinding& b) { return a.is_error > b.is_error; });
    return std::move(findings_);
  }

 private:
  /// `pointer` relative to the rules; reported once, where it is set.
  void add(const char* rule, const std::string& pointer, bool is_error, std::string message) {
    const std::string at = key_.op.empty() ? pointer : key_.pointer_of(resolved_, pointer);
    LintFinding finding{rule, at, "", std::move(message), is_error};
    finding.place = resolved_.place(finding.pointer);
    if (seen_.insert(finding.rule + finding.pointer + finding.message).second) {
      findings_.push_back(std::move(finding));
    }
  }
  void error(const char* rule, const std::string& pointer, std::string message) {
    add(rule, pointer, true, std::move(message));
  }
  void warning(const char* rule, const std::string& pointer, std::string message) {
    add(rule, pointer, false, std::move(message));
  }

  /// True if this very setting is written in a file (not a default, not inherited by the op).
  bool is_written(const std::string& pointer) const {
    return resolved_.origin.contains(key_.pointer_of(resolved_, pointer));
  }

  int64_t largest_input() const {  // |x - zero_point|
    const quant::TensorSpec& spec = rules_->activation;
    return spec.zero_point == quant::TensorSpec::ZeroPoint::any
               ? spec.quant_max() - spec.quant_min()
               : std::max(spec.quant_max(), -spec.quant_min());
  }
  int64_t largest_weight() const {
    const quant::TensorSpec& spec = rules_->weight;
    return spec.zero_point == quant::TensorSpec::ZeroPoint::any
               ? spec.quant_max() - spec.quant_min()
               : std::max(spec.quant_max(), -spec.quant_min());
  }

  void accumulator() {
    const sim::Accumulator& accumulator = rules_->accumulator;
    const int64_t product = largest_input() * largest_weight();
    const int needed = signed_bits(product);
    if (accumulator.bits < needed) {
      error("accumulator-narrow", "/accumulator/bits",
            fmt::format("{} bits, {} needed for one product: {} * {} = {}", accumulator.bits,
                        needed, largest_input(), largest_weight(), product));
      return;
    }
    const int64_t taps = accumulator.max() / product + 1;
    if (taps <= 4096) {
      warning("accumulator-overflow", "/accumulator/bits",
              fmt::format("{} taps can overflow {} bits: {} * {} * {} > {} ({})", taps,
                          accumulator.bits, taps, largest_input(), largest_weight(),
                          accumulator.max(), sim::to_string(accumulator.overflow)));
    }
    if (accumulator.order == sim::Accumulator::Order::any &&
        accumulator.overflow != sim::Overflow::wrap) {
      warning(
          "accumulator-order", "/accumulator/order",
          "\"any\" with an overflow that depends on the order: layers whose sums can leave the "
          "width are refused; 8 bits saturating, 100 + 100 - 100 is 27, 100 - 100 + 100 is 100");
    }
  }

  void multiplier() {
    const Json& requantize = json_["requantize"];
    const bool has_steps = requantize.contains("steps") && !requantize["steps"].is_null();
    if (has_steps || requantize["domain"] != "fixed_point") return;
    const int bits = rules_->multiplier.reduce_to_bits > 0 ? rules_->multiplier.reduce_to_bits
                                                           : rules_->multiplier.bits;
    if (bits + rules_->accumulator.bits > 64) {
      warning("multiplier-width", "/requantize/multiplier/bits",
              fmt::format("{} bits times a {}-bit accumulator needs {} bits, hardware and the fast "
                          "kernels have 64",
                          bits, rules_->accumulator.bits, bits + rules_->accumulator.bits));
    }
    int64_t fixed = 0;
    for (const sim::Step& step : rules_->requantize.steps) {
      if (step.kind == sim::StepKind::shr) fixed += step.a.integer;
    }
    if (requantize["rounding"].is_array() && rules_->min_shift < fixed &&
        requantize["left_shift"]["position"] == "in_total_shift") {
      warning(
          "left-shift-lost", "/requantize/left_shift/position",
          "\"in_total_shift\" with fixed stages: a real multiplier of 1 or more cannot shorten a "
          "fixed stage and is refused");
    }
  }

  void bias() {
    const BiasSpec& bias = rules_->bias;
    if (bias.kind != BiasSpec::Kind::integer) return;
    if (bias.bits > rules_->accumulator.bits) {
      error("bias-width", "/tensors/bias/bits",
            fmt::format("{} bits, the accumulator has {}: bias 2^{} does not fit", bias.bits,
                        rules_->accumulator.bits, rules_->accumulator.bits - 1));
    }
    if (bias.scale == BiasSpec::Scale::input_times_weight && bias.bits < 16) {
      const double reach = static_cast<double>((int64_t{1} << (bias.bits - 1)) - 1);
      warning(
          "bias-saturates", "/tensors/bias/bits",
          fmt::format("{} bits in units of input_scale * weight_scale: scales 0.02 and 0.005 hold "
                      "biases up to {:.4f}",
                      bias.bits, reach * 0.02 * 0.005));
    }
  }

  void weights() {
    const quant::TensorSpec& weight = rules_->weight;
    if (!multiplies(key_.op)) return;
    if (weight.granularity == quant::TensorSpec::Granularity::per_channel &&
        weight.channel_axis != 0) {
      error(
          "weight-axis", "/tensors/weight/channel_axis",
          fmt::format("axis {}: weights are OHWI and only the output channel (0) can have its own "
                      "scale",
                      weight.channel_axis));
    }
    symmetric("/tensors/weight", weight);
  }

  void symmetric(const std::string& pointer, const quant::TensorSpec& spec) {
    if (spec.zero_point != quant::TensorSpec::ZeroPoint::zero || !spec.type.is_signed ||
        spec.scale == quant::TensorSpec::Scale::power_of_two) {
      return;
    }
    const double divisor = spec.symmetric_divisor > 0
                               ? spec.symmetric_divisor
                               : static_cast<double>(spec.quant_max() - spec.quant_min()) / 2;
    if (divisor == static_cast<double>(spec.quant_max()) + 0.5) {
      warning(
          "symmetric-tie", pointer + "/symmetric_divisor",
          fmt::format("scale = max / {}: the largest value of each channel is {} steps, a tie, and "
                      "gets no gradient when it saturates; {} avoids it",
                      divisor, divisor, spec.quant_max()));
    } else if (divisor > static_cast<double>(spec.quant_max()) + 0.5) {
      warning("symmetric-clips", pointer + "/symmetric_divisor",
              fmt::format("scale = max / {}: the largest value is {} steps, the largest code is {}",
                          divisor, divisor, spec.quant_max()));
    }
  }

  void activation() {
    const quant::TensorSpec& spec = rules_->activation;
    if (spec.granularity == quant::TensorSpec::Granularity::per_channel) {
      error("activation-per-channel", "/tensors/activation/granularity",
            "per_channel: a sum over input channels needs one input scale");
    }
    if (multiplies(key_.op)) symmetric("/tensors/activation", spec);
    const Json& requantize = json_["requantize"];
    const bool has_steps = requantize.contains("steps") && !requantize["steps"].is_null();
    if (!has_steps && requantize["domain"] == "shift" && multiplies(key_.op)) {
      for (const char* tensor : {"activation", "weight"}) {
        if (json_["tensors"][tensor]["scale"] != "power_of_two") {
          error("shift-needs-power-of-two", fmt::format("/tensors/{}/scale", tensor),
                "\"any\" under domain \"shift\": a scale of 0.3 has no shift, every layer would be "
                "refused");
        }
      }
    }
  }

  /// Settings that are written but have no effect.
  void unused() {
    const Json& requantize = json_["requantize"];
    const bool has_steps = requantize.contains("steps") && !requantize["steps"].is_null();
    const auto check = [&](const char* pointer, const char* why) {
      if (is_written(pointer)) warning("unused-setting", pointer, why);
    };
    if (has_steps) {
      for (const char* pointer : {"/requantize/domain", "/requantize/left_shift",
                                  "/requantize/rounding", "/requantize/intermediate_bits",
                                  "/requantize/float", "/zero_point_add", "/output/overflow"}) {
        const auto steps = resolved_.origin.find("/requantize/steps");
        const auto flat = resolved_.origin.find(pointer);
        if (steps != resolved_.origin.end() && flat != resolved_.origin.end() &&
            steps->second == flat->second) {
          warning("unused-setting", pointer, "has no effect beside /requantize/steps");
        }
      }
      return;
    }
    const std::string domain = requantize["domain"];
    if (domain == "float32" || domain == "float64") {
      check("/requantize/multiplier/bits", "has no effect in domain float32");
      check("/requantize/multiplier/derivation", "has no effect in domain float32");
      check("/requantize/left_shift", "has no effect in domain float32");
      check("/requantize/intermediate_bits", "has no effect in domain float32");
    } else {
      if (rules_->bias.kind != BiasSpec::Kind::float32) {
        check("/requantize/float", "has an effect in domains float32 and float64 only");
      }
    }
    const bool fuses = std::any_of(rules_->requantize.steps.begin(), rules_->requantize.steps.end(),
                                   [](const sim::Step& step) {
                                     return step.kind == sim::StepKind::fmul &&
                                            step.b.kind != sim::Operand::Kind::none;
                                   });
    if (requantize["float"]["fma"] == true && !fuses) {
      check(
          "/requantize/float/fma",
          "has an effect where a sum follows the product: a float32 bias after_scale, or combined "
          "scales with the zero point before_rounding");
    }
    if (requantize["float"]["scale_factors"] == "combined") {
      check("/requantize/float/reciprocal", "has an effect with input_weight_then_output only");
    }
    if (rules_->padding != OpRules::PaddingValue::explicit_code) {
      check("/padding/code", "has an effect with value \"explicit\" only");
    }
    if (domain == "shift") check("/requantize/left_shift", "has no effect in domain shift");
    if (rules_->bias.kind != BiasSpec::Kind::integer) {
      check("/tensors/bias/bits", "has an effect on integer biases only");
      check("/tensors/bias/scale", "has an effect on integer biases only");
    }
  }

  /// Steps that some accumulator cannot take.
  void program() {
    const bool written = rules_->domain == OpRules::Domain::steps;
    const bool scales = multiplies(key_.op) || key_.op == "requantize";
    if (!written && (!scales || rules_->domain == OpRules::Domain::threshold ||
                     rules_->domain == OpRules::Domain::lut)) {
      return;
    }
    // Ops that share their rules share what is found.
    if (!checked_
             .insert(sim::to_string(rules_->requantize) + json_["requantize"].dump() +
                     json_["accumulator"].dump() + json_["domain"].dump() +
                     sim::to_string(rules_->output_types.front()))
             .second) {
      return;
    }
    for (const detail::StepProblem& problem : detail::find_step_problems(*rules_)) {
      const std::string pointer =
          written ? fmt::format("/requantize/steps/{}", problem.step) : "/requantize";
      using Kind = detail::StepProblem::Kind;
      if (problem.kind == Kind::refused) {
        warning("step-overflow", pointer, problem.message);
      } else {
        error(problem.kind == Kind::inexact ? "step-inexact" : "step-outside-output", pointer,
              problem.message);
      }
    }
  }

  /// Two variants that fit some layer equally well.
  void overlaps() {
    if (rules_->when.count() == 0) return;
    const std::string prefix = key_.op + " ";
    for (const auto& [name, other] : profile_.ops) {
      if (!name.starts_with(prefix) || name <= key_.name() || other.when.count() == 0) continue;
      if (!detail::overlap(rules_->when, other.when) || detail::refines(rules_->when, other.when) ||
          detail::refines(other.when, rules_->when)) {
        continue;
      }
      error("variant-overlap", "/when",
            fmt::format("\"{}\" and \"{}\" hold for the same layer: {}", key_.variant,
                        RulesKey::parse(name).variant, example(other.when)));
    }
  }

  /// Operand types that meet these rules' condition and another; those that neither names are the
  /// first that the rules accept.
  std::string example(const VariantCondition& b) const {
    const VariantCondition& a = rules_->when;
    std::string text;
    const auto add = [&](const char* operand, const std::string& type) {
      text += (text.empty() ? "" : ", ") + std::string(operand) + " " + type;
    };
    const auto activation = a.activation ? a.activation : b.activation;
    add("activation", sim::to_string(activation.value_or(rules_->activation_types.front())));
    const auto weight = a.weight ? a.weight : b.weight;
    const bool has_weights =
        multiplies(key_.op) || key_.op == "transpose_conv2d" || key_.op == "svdf";
    if (weight || has_weights) {
      add("weight", sim::to_string(weight.value_or(rules_->weight_types.front())));
    }
    if (const auto type = a.bias ? a.bias : b.bias) add("bias", std::string(to_string(*type)));
    return text;
  }

  void whole_profile() {
    if (profile_.evidence.level == Profile::Evidence::Level::executed &&
        profile_.evidence.sources.empty()) {
      warning("evidence-without-source", "/evidence", "\"executed\" without a source");
    }
    if (profile_.name.find('_') != std::string::npos) {
      warning("name-spelling", "/name",
              "profile names are lower case with hyphens: " + profile_.name);
    }
    if (!profile_.bit_exact && profile_.tolerance_lsb == 0) {
      warning("tolerance-zero", "/tolerance_lsb", "determinism \"tolerance\" of 0 codes");
    }
    for (const char* op : {"conv2d", "linear", "quantize"}) {
      if (!profile_.ops.contains(op)) {
        warning("missing-op", "/ops",
                fmt::format("no rules for {}: networks that use it are refused", op));
      }
    }
  }

  const ResolvedProfile& resolved_;
  const Profile& profile_;
  RulesKey key_;
  const OpRules* rules_ = nullptr;
  Json json_;
  std::set<std::string> seen_, checked_;
  std::vector<LintFinding> findings_;
};

}  // namespace

std::vector<LintFinding> lint_profile(std::string_view name_or_path, const ProfileSearch& search,
                                      const std::vector<ProfileOverride>& overrides) {
  const Profile profile = load_profile(name_or_path, search, overrides);
  const ResolvedProfile resolved = detail::resolve_profile(name_or_path, search, overrides);
  return Linter(resolved, profile).run();
}

}  // namespace facsim::backends
