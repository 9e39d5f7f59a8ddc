// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/profile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "backends/profile/algorithms-internal.h"
#include "backends/profile/profile_fields-internal.h"
#include "backends/profile/program-internal.h"
#include "backends/profile/resolve-internal.h"
#include "sim/core/check.h"

namespace facsim::backends {

namespace {

using detail::Json;
using detail::ResolvedProfile;

/// The enumerator at the position of `word` in `words`; the fields were validated, so it is there.
template <class Enum, size_t N>
Enum enumerator(const Json& word, const char* const (&words)[N]) {
  for (size_t i = 0; i < N; ++i) {
    if (word == words[i]) return static_cast<Enum>(i);
  }
  FACSIM_CHECK(false);
  return {};
}

sim::Rounding rounding_of(const Json& word) {
  const auto mode = sim::rounding_from_string(word.get_ref<const std::string&>());
  FACSIM_CHECK(mode.has_value());
  return *mode;
}

sim::Overflow overflow_of(const Json& word) {
  const auto policy = sim::overflow_from_string(word.get_ref<const std::string&>());
  FACSIM_CHECK(policy.has_value());
  return *policy;
}

sim::IntType type_of(const std::string& word) {  // "int4", "uint8"
  const bool is_signed = word[0] != 'u';
  return {std::stoi(word.substr(is_signed ? 3 : 4)), is_signed};
}

quant::TensorSpec read_tensor(const Json& json) {
  using Spec = quant::TensorSpec;
  Spec spec;
  spec.type = {json["bits"].get<int>(), json["signed"].get<bool>()};
  spec.narrow_range = json["narrow_range"].get<bool>();
  spec.zero_point = enumerator<Spec::ZeroPoint>(json["zero_point"], {"any", "zero"});
  spec.granularity =
      enumerator<Spec::Granularity>(json["granularity"], {"per_tensor", "per_channel"});
  spec.channel_axis = json["channel_axis"].get<int>();
  spec.scale = enumerator<Spec::Scale>(json["scale"], {"any", "power_of_two"});
  spec.rounding = rounding_of(json["rounding"]);
  spec.formula = enumerator<Spec::Formula>(json["formula"], {"reciprocal", "division"});
  spec.zero_point_add =
      enumerator<Spec::ZeroPointAdd>(json["zero_point_add"], {"after_rounding", "before_rounding"});
  if (json.contains("symmetric_divisor") && json["symmetric_divisor"].is_number()) {
    spec.symmetric_divisor = json["symmetric_divisor"].get<double>();
  }
  return spec;
}

std::vector<sim::IntType> read_types(const Json& tensor) {
  std::vector<sim::IntType> types = {{tensor["bits"].get<int>(), tensor["signed"].get<bool>()}};
  for (const Json& word : tensor["also_accepts"]) {
    const sim::IntType type = type_of(word.get<std::string>());
    if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
  }
  return types;
}

BiasSpec read_bias(const Json& json) {
  BiasSpec spec;
  spec.kind = enumerator<BiasSpec::Kind>(json["kind"], {"integer", "float32", "none"});
  spec.scale =
      enumerator<BiasSpec::Scale>(json["scale"], {"input_times_weight", "own_power_of_two"});
  spec.bits = json["bits"].get<int>();
  spec.rounding = rounding_of(json["rounding"]);
  return spec;
}

sim::Accumulator read_accumulator(const Json& json) {
  sim::Accumulator accumulator;
  accumulator.bits = json["bits"].get<int>();
  accumulator.overflow = overflow_of(json["overflow"]);
  accumulator.order = enumerator<sim::Accumulator::Order>(json["order"], {"any", "sequential"});
  accumulator.init = enumerator<sim::Accumulator::Init>(json["init"], {"zero", "bias"});
  return accumulator;
}

quant::MultiplierSpec read_multiplier(const Json& json) {
  using Spec = quant::MultiplierSpec;
  Spec spec;
  spec.bits = json["bits"].get<int>();
  spec.derivation = enumerator<Spec::Derivation>(
      json["derivation"], {"frexp_round", "float32_mantissa", "power_of_two", "truncate"});
  spec.scale_product = enumerator<Spec::ScaleProduct>(
      json["scale_product"], {"float64", "float32", "float32_then_float64"});
  spec.zero_if_shift_below = json["zero_if_shift_below"].get<int>();
  return spec;
}

/// Collects findings about the meaning of a resolved profile, each once.
class Findings {
 public:
  explicit Findings(const ResolvedProfile& resolved) : resolved_(resolved) {}

  /// `pointer` is relative to the rules; the place is the op's own setting if it has one.
  void add(const std::string& op, const std::string& pointer, std::string found,
           std::string expected) {
    const std::string own = "/ops/" + op + pointer;
    const bool is_own = resolved_.origin.contains(own);
    ErrorInfo info{ErrorCode::bad_value, resolved_.place(is_own ? own : pointer), std::move(found),
                   std::move(expected), ""};
    if (seen_.insert(to_string(info)).second) infos_.push_back(std::move(info));
  }
  std::vector<ErrorInfo> take() { return std::move(infos_); }

 private:
  const ResolvedProfile& resolved_;
  std::set<std::string> seen_;
  std::vector<ErrorInfo> infos_;
};

void read_algorithm(const std::string& op, const Json& rules, OpRules& out, Findings& findings) {
  const std::vector<std::string> allowed = detail::algorithms_of(op);
  if (!rules.contains("algorithm")) {
    if (!allowed.empty()) {
      findings.add(op, "", "ops." + op + " without \"algorithm\"",
                   fmt::format("one of {}", fmt::join(allowed, ", ")));
    }
  } else {
    out.algorithm = rules["algorithm"].get<std::string>();
    if (std::find(allowed.begin(), allowed.end(), out.algorithm) == allowed.end()) {
      findings.add(
          op, "/algorithm", "algorithm \"" + out.algorithm + "\" is not one of " + op,
          allowed.empty() ? "no algorithm" : fmt::format("one of {}", fmt::join(allowed, ", ")));
    }
  }
  if (!rules.contains("params")) return;
  const detail::Algorithm* algorithm = detail::find_algorithm(out.algorithm);
  for (const auto& [key, value] : rules["params"].items()) {
    const bool used =
        (op == "lut" && key == "rounding") ||
        (algorithm != nullptr && std::find(algorithm->params.begin(), algorithm->params.end(),
                                           key) != algorithm->params.end());
    if (!used) {
      findings.add(
          op, "/params/" + key,
          "\"" + key + "\" is not a setting of " + (out.algorithm.empty() ? op : out.algorithm),
          "");
    } else if (value.is_string()) {
      out.algorithm_rounding = rounding_of(value);
    } else {
      out.algorithm_params[key] = value.get<int64_t>();
    }
  }
  if (algorithm == nullptr) return;
  for (const std::string& key : algorithm->params) {
    if (!rules["params"].contains(key)) {
      findings.add(op, "/params", "missing \"" + key + "\" for " + out.algorithm, "");
    }
  }
}

void check_rules(const std::string& op, const OpRules& rules, Findings& findings) {
  if (rules.min_shift > rules.max_shift) {
    findings.add(op, "/domain/min_shift",
                 fmt::format("min_shift {} > max_shift {}", rules.min_shift, rules.max_shift), "");
  }
  if (rules.bias.scale == BiasSpec::Scale::own_power_of_two &&
      rules.weight.granularity == quant::TensorSpec::Granularity::per_channel) {
    findings.add(op, "/tensors/bias/scale",
                 "own_power_of_two with weights that are quantized per channel",
                 "per_tensor weights: one bias unit per layer");
  }
  if (!rules.requantize_per_channel &&
      rules.weight.granularity == quant::TensorSpec::Granularity::per_channel) {
    findings.add(op, "/requantize/granularity",
                 "per_tensor with weights that are quantized per channel",
                 "per_channel, or per_tensor weights");
  }
}

OpRules read_rules(const std::string& op, const Json& rules, Findings& findings) {
  OpRules out;
  out.activation = read_tensor(rules["tensors"]["activation"]);
  out.activation_types = read_types(rules["tensors"]["activation"]);
  out.weight = read_tensor(rules["tensors"]["weight"]);
  out.weight_types = read_types(rules["tensors"]["weight"]);
  out.bias = read_bias(rules["tensors"]["bias"]);
  out.accumulator = read_accumulator(rules["accumulator"]);
  out.padding =
      enumerator<OpRules::PaddingValue>(rules["padding"]["value"], {"input_zero_point", "zero"});
  out.multiplier = read_multiplier(rules["requantize"]["multiplier"]);
  out.requantize_per_channel = rules["requantize"]["granularity"] == "per_channel";
  out.min_shift = rules["domain"]["min_shift"].get<int>();
  out.max_shift = rules["domain"]["max_shift"].get<int>();
  out.activation_bound_rounding = rounding_of(rules["activation_bound_rounding"]);
  detail::OutputProgram program = detail::read_program(
      rules, out.activation.type,
      [&](const std::string& pointer, const std::string& found, const std::string& expected) {
        findings.add(op, pointer, found, expected);
      });
  out.requantize = std::move(program.program);
  out.output_steps = std::move(program.output_steps);
  read_algorithm(op, rules, out, findings);
  check_rules(op, out, findings);
  return out;
}

Profile read_profile(const ResolvedProfile& resolved) {
  const Json& json = resolved.value;
  Profile profile;
  profile.name = json["name"].get<std::string>();
  profile.title = json["title"].get<std::string>();
  profile.evidence.level = enumerator<Profile::Evidence::Level>(
      json["evidence"]["level"], {"executed", "documented", "assumed"});
  profile.evidence.sources = json["evidence"]["sources"].get<std::vector<std::string>>();
  profile.bit_exact = json["determinism"] == "bit_exact";
  profile.tolerance_lsb = json["tolerance_lsb"].get<int>();
  profile.training.activation_observer = json["training"]["activation_observer"];
  profile.training.weight_observer = json["training"]["weight_observer"];
  profile.training.activation_fake_quantize = json["training"]["activation_fake_quantize"];
  profile.training.weight_fake_quantize = json["training"]["weight_fake_quantize"];
  profile.training.batch_norm = json["training"]["batch_norm"];
  profile.fusion = json["fusion"].get<std::vector<std::string>>();
  profile.fingerprint = detail::fingerprint(json);
  profile.file = resolved.file;

  Findings findings(resolved);
  for (const auto& [op, own_rules] : json["ops"].items()) {
    profile.ops[op] = read_rules(op, detail::effective_rules(json, op), findings);
  }
  std::vector<ErrorInfo> errors = findings.take();
  if (profile.bit_exact && profile.tolerance_lsb != 0) {
    errors.push_back({ErrorCode::bad_value, resolved.place("/tolerance_lsb"),
                      std::to_string(profile.tolerance_lsb) + " under determinism \"bit_exact\"",
                      "0", ""});
  }
  if (!errors.empty()) throw Error(std::move(errors));
  return profile;
}

}  // namespace

namespace detail {

Json effective_rules(const Json& resolved, const std::string& op) {
  Json rules = Json::object();
  for (const std::string& key : rule_keys()) rules[key] = resolved[key];
  rules.merge_patch(resolved["ops"][op]);
  // merge_patch drops nulls that are values (intermediate_bits).
  for (const std::string& key : rule_keys())
    fill_defaults(rules[key], *profile_fields().member(key));
  return rules;
}

}  // namespace detail

const OpRules& Profile::rules(std::string_view op) const {
  const auto it = ops.find(op);
  if (it == ops.end()) {
    throw Error({ErrorCode::unsupported, "profile " + name,
                 "op " + std::string(op) + " has no rules", "an entry in /ops of the profile", ""});
  }
  return it->second;
}

Profile load_profile(std::string_view name_or_path, const ProfileSearch& search,
                     const std::vector<ProfileOverride>& overrides) {
  return read_profile(detail::resolve_profile(name_or_path, search, overrides));
}

std::string resolved_profile_json(std::string_view name_or_path, const ProfileSearch& search,
                                  const std::vector<ProfileOverride>& overrides) {
  return detail::resolve_profile(name_or_path, search, overrides).value.dump(2) + "\n";
}

}  // namespace facsim::backends
