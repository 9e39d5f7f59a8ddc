// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/profile_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "backends/parity/profile_diff-internal.h"
#include "backends/profile/profile_fields-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

using Verdict = OpDifference::Verdict;

bool same_spec(const quant::TensorSpec& a, const quant::TensorSpec& b) {
  return a.type == b.type && a.narrow_range == b.narrow_range && a.zero_point == b.zero_point &&
         a.granularity == b.granularity && a.channel_axis == b.channel_axis && a.scale == b.scale &&
         a.range_rule == b.range_rule && a.rounding == b.rounding && a.formula == b.formula &&
         a.zero_point_add == b.zero_point_add && a.symmetric_divisor == b.symmetric_divisor;
}

bool same_scaling(const quant::MultiplierSpec& a, const quant::MultiplierSpec& b) {
  return a.scale_product == b.scale_product && a.formula == b.formula;
}

bool same_multiplier(const quant::MultiplierSpec& a, const quant::MultiplierSpec& b) {
  return same_scaling(a, b) && a.bits == b.bits && a.fraction_bits == b.fraction_bits &&
         a.reduce_to_bits == b.reduce_to_bits && a.derivation == b.derivation &&
         a.zero_if_shift_below == b.zero_if_shift_below;
}

/// Rules about the codes that go in and come out.
bool same_codes(const OpRules& a, const OpRules& b) {
  return same_spec(a.activation, b.activation) && a.activation_scheme == b.activation_scheme &&
         a.padding == b.padding && a.padding_code == b.padding_code &&
         a.padding_counts_in_sums == b.padding_counts_in_sums &&
         a.activation_bound_rounding == b.activation_bound_rounding && a.algorithm == b.algorithm &&
         a.algorithm_params == b.algorithm_params && a.algorithm_rounding == b.algorithm_rounding &&
         a.activation_types == b.activation_types && a.output_types == b.output_types &&
         a.output_narrow_range == b.output_narrow_range && a.when == b.when;
}

/// Rules about sums, and about scaling besides the program itself.
bool same_sums(const OpRules& a, const OpRules& b) {
  return same_spec(a.weight, b.weight) && a.weight_scheme == b.weight_scheme && a.bias == b.bias &&
         a.weight_types == b.weight_types && a.accumulator == b.accumulator &&
         a.activation_order == b.activation_order &&
         a.requantize_per_channel == b.requantize_per_channel && a.min_shift == b.min_shift &&
         a.max_shift == b.max_shift;
}

bool program_reads(const sim::StepProgram& program, std::string_view name) {
  return std::any_of(program.steps.begin(), program.steps.end(), [&](const sim::Step& step) {
    return step.a.argument == name || step.b.argument == name;
  });
}

/// Layers that only bind the program: nothing else reads how a multiplier is derived.
bool is_weighted(const std::string& op) {
  constexpr std::array kOps{"conv2d", "depthwise_conv2d", "transpose_conv2d", "linear",
                            "batch_matmul"};
  const std::string word = op.substr(0, op.find(' '));
  return std::find(kOps.begin(), kOps.end(), word) != kOps.end();
}

/// Ops whose lowering reads no sums and no program (backends/lower: structural, max_pool2d, min and
/// max, lut, quantizer).
bool only_moves_codes(const std::string& op, const OpRules& rules) {
  constexpr std::array kOps{"minimum", "maximum",   "max_pool2d", "pad",       "slice",
                            "lut",     "transpose", "quantize",   "dequantize"};
  const std::string word = op.substr(0, op.find(' '));
  if (word == "resize") return rules.algorithm == "tflite.resize";
  return rules.algorithm.empty() && std::find(kOps.begin(), kOps.end(), word) != kOps.end();
}

/// Ops in the format's order, variants behind their op.
std::vector<std::string> in_order(const std::set<std::string>& ops) {
  std::vector<std::string> ordered(ops.begin(), ops.end());
  const auto rank = [](const std::string& op) {
    const std::vector<std::string>& words = detail::profile_ops();
    return std::find(words.begin(), words.end(), op.substr(0, op.find(' '))) - words.begin();
  };
  std::stable_sort(ordered.begin(), ordered.end(),
                   [&](const auto& x, const auto& y) { return rank(x) < rank(y); });
  return ordered;
}

OpDifference compare_op(const Profile& a, const Profile& b, const std::string& op, uint64_t seed) {
  OpDifference out;
  out.op = op;
  const auto in_a = a.ops.find(op), in_b = b.ops.find(op);
  const std::string word = op.substr(0, op.find(' '));
  if (!a.ops.contains(word)) {
    out.verdict = Verdict::only_in_b;
    return out;
  }
  if (!b.ops.contains(word)) {
    out.verdict = Verdict::only_in_a;
    return out;
  }
  detail::DiffCount count;
  detail::VectorDice dice(seed);
  if (in_a != a.ops.end() && in_b != b.ops.end()) {
    out.proof = detail::proof_of_equality(op, in_a->second, in_b->second);
    if (!out.proof.empty()) {
      out.verdict = Verdict::equal;
      return out;
    }
    if (detail::has_bare_requantizer(a, op) && detail::has_bare_requantizer(b, op)) {
      out.smallest = detail::differing_accumulator(in_a->second, in_b->second, dice, count);
    }
  }
  if (!out.smallest) {
    out.smallest = detail::differing_layer(a, b, op, dice, count, out.reason);
  }
  out.compared = count.compared;
  out.differing = count.differing;
  if (out.smallest) {
    out.verdict = Verdict::separated;
  } else if (count.compared > 0) {
    out.verdict = Verdict::not_separated;
  } else if (in_b == b.ops.end()) {
    out.verdict = Verdict::only_in_a;
  } else if (in_a == a.ops.end()) {
    out.verdict = Verdict::only_in_b;
  }
  if (out.verdict == Verdict::separated || out.verdict == Verdict::not_separated) {
    out.reason.clear();
  }
  return out;
}

/// The key of `ops` that a phrase names in either profile.
std::string chosen_op(const Profile& a, const Profile& b, const std::string& phrase) {
  try {
    return a.choose(phrase).name;
  } catch (const Error&) {
    return b.choose(phrase).name;
  }
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::equal:
      return "equal";
    case Verdict::separated:
      return "separated";
    case Verdict::not_separated:
      return "not_separated";
    case Verdict::only_in_a:
      return "only_in_a";
    case Verdict::only_in_b:
      return "only_in_b";
    case Verdict::incomparable:
      return "incomparable";
  }
  return "?";
}

std::vector<OpDifference> numeric_differences(const ProfileDiffOptions& options) {
  const Profile a = load_profile(options.a.name_or_path, options.search, options.a.overrides);
  const Profile b = load_profile(options.b.name_or_path, options.search, options.b.overrides);
  std::set<std::string> ops;
  if (options.op.empty()) {
    for (const Profile* profile : {&a, &b}) {
      for (const auto& [op, rules] : profile->ops) ops.insert(op);
    }
  } else {
    ops.insert(chosen_op(a, b, options.op));
  }
  std::vector<OpDifference> out;
  for (const std::string& op : in_order(ops)) {
    out.push_back(compare_op(a, b, op, options.seed));
    if (options.progress) {
      options.progress(static_cast<int64_t>(out.size()), static_cast<int64_t>(ops.size()));
    }
  }
  return out;
}

namespace detail {

std::string proof_of_equality(const std::string& op, const OpRules& a, const OpRules& b) {
  if (!same_codes(a, b)) return "";
  const bool same_program = same_sums(a, b) && a.requantize == b.requantize;
  if (!same_program && only_moves_codes(op, a)) {
    return "the same rules for codes; it reads neither sums nor the step program";
  }
  if (!same_program) return "";
  const bool same_form = a.domain == b.domain && a.output_steps == b.output_steps;
  if (same_form && same_multiplier(a.multiplier, b.multiplier)) {
    return a.algorithm.empty() ? "the same rules and the same step program"
                               : fmt::format("the same rules; algorithm {}", a.algorithm);
  }
  if (!is_weighted(op) || !a.algorithm.empty()) return "";
  // A platform that has only powers of two also moves scales by its derivation.
  if (a.multiplier.derivation != b.multiplier.derivation) return "";
  const bool reads_integers = program_reads(a.requantize, "multiplier") ||
                              program_reads(a.requantize, "shift") ||
                              program_reads(a.requantize, "left_shift");
  const bool same_arguments = reads_integers ? same_multiplier(a.multiplier, b.multiplier)
                                             : same_scaling(a.multiplier, b.multiplier);
  if (!same_arguments || a.output_steps != b.output_steps) return "";
  return a.domain == b.domain ? "the same step program; what differs, no step reads"
                              : "the same step program, written in other fields";
}

std::vector<std::string> step_texts(const std::vector<sim::TracedStep>& steps) {
  std::vector<std::string> texts;
  for (const sim::TracedStep& step : steps) {
    texts.push_back(step.is_real ? fmt::format("{} -> {}", step.step, step.real)
                                 : fmt::format("{} -> {}", step.step, step.integer));
  }
  return texts;
}

}  // namespace detail
}  // namespace facsim::backends
