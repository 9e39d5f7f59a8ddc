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
#include "backends/profile/variants-internal.h"
#include "sim/core/check.h"

namespace facsim::backends {

namespace {

using detail::Json;
using detail::ResolvedProfile;
using detail::RulesKey;

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

quant::TensorSpec read_tensor(const Json& json) {
  using Spec = quant::TensorSpec;
  Spec spec;
  spec.type = {json["bits"].get<int>(), json["signed"].get<bool>()};
  spec.narrow_range = json["narrow_range"].get<bool>();
  spec.zero_point = enumerator<Spec::ZeroPoint>(json["zero_point"], {"any", "zero", "middle"});
  spec.granularity =
      enumerator<Spec::Granularity>(json["granularity"], {"per_tensor", "per_channel"});
  spec.channel_axis = json["channel_axis"].get<int>();
  spec.scale =
      enumerator<Spec::Scale>(json["scale"], {"any", "power_of_two", "nearest_power_of_two"});
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
    const sim::IntType type = detail::type_from_word(word.get<std::string>());
    if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
  }
  return types;
}

BiasSpec read_bias(const Json& json) {
  BiasSpec spec;
  spec.kind = enumerator<BiasSpec::Kind>(json["kind"], {"integer", "float32", "none"});
  spec.scale =
      enumerator<BiasSpec::Scale>(json["scale"], {"input_times_weight", "own_power_of_two", "own"});
  spec.formula = enumerator<BiasSpec::Formula>(json["formula"], {"division", "reciprocal"});
  spec.bits = json["bits"].get<int>();
  spec.rounding = rounding_of(json["rounding"]);
  spec.overflow = overflow_of(json["overflow"]);
  return spec;
}

sim::Accumulator read_accumulator(const Json& json) {
  using sim::Accumulator;
  Accumulator accumulator;
  accumulator.bits = json["bits"].get<int>();
  accumulator.overflow = overflow_of(json["overflow"]);
  accumulator.order = enumerator<Accumulator::Order>(json["order"], {"any", "sequential"});
  accumulator.init = enumerator<Accumulator::Init>(json["init"], {"zero", "bias"});
  accumulator.operands =
      enumerator<Accumulator::Operands>(json["operands"], {"centred", "codes", "unsigned_codes"});
  if (const Json& term = json["term"]; !term.is_null()) {
    accumulator.term = {.shift = term["shift"].get<int>(),
                        .rounding = rounding_of(term["rounding"]),
                        .bits = term["bits"].get<int>(),
                        .overflow = overflow_of(term["overflow"])};
  }
  if (const Json& block = json["block"]; !block.is_null()) {
    const bool all = block["taps"].is_string();
    accumulator.block = {
        .taps = all ? Accumulator::Block::kAllTaps : block["taps"].get<int64_t>(),
        .bits = block["bits"].get<int>(),
        .overflow = overflow_of(block["overflow"]),
        .spill_every = block["spill_every"].get<int64_t>(),
        .span = enumerator<Accumulator::Block::Span>(block["span"], {"layer", "position"})};
  }
  return accumulator;
}

quant::MultiplierSpec read_multiplier(const Json& json) {
  using Spec = quant::MultiplierSpec;
  Spec spec;
  spec.bits = json["bits"].get<int>();
  spec.derivation = enumerator<Spec::Derivation>(
      json["derivation"], {"frexp_round", "float32_mantissa", "power_of_two", "truncate",
                           "search_min_error", "fixed_fraction"});
  spec.scale_product = enumerator<Spec::ScaleProduct>(
      json["scale_product"], {"float64", "float32", "float32_then_float64"});
  spec.formula = enumerator<Spec::Formula>(json["formula"], {"division", "reciprocal"});
  if (!json["fraction_bits"].is_null()) spec.fraction_bits = json["fraction_bits"].get<int>();
  if (!json["reduce_to_bits"].is_null()) spec.reduce_to_bits = json["reduce_to_bits"].get<int>();
  spec.zero_if_shift_below = json["zero_if_shift_below"].get<int>();
  return spec;
}

/// Collects findings about the meaning of a resolved profile, each once.
class Findings {
 public:
  explicit Findings(const ResolvedProfile& resolved) : resolved_(resolved) {}

  /// `pointer` is relative to the rules; the place is where they are written.
  void add(const RulesKey& key, const std::string& pointer, std::string found,
           std::string expected) {
    add_at(key.pointer_of(resolved_, pointer), std::move(found), std::move(expected));
  }
  void add_at(const std::string& pointer, std::string found, std::string expected) {
    ErrorInfo info{ErrorCode::bad_value, resolved_.place(pointer), std::move(found),
                   std::move(expected), ""};
    if (seen_.insert(to_string(info)).second) infos_.push_back(std::move(info));
  }
  std::vector<ErrorInfo> take() { return std::move(infos_); }

 private:
  const ResolvedProfile& resolved_;
  std::set<std::string> seen_;
  std::vector<ErrorInfo> infos_;
};

void read_algorithm(const RulesKey& key_of_rules, const Json& rules, OpRules& out,
                    Findings& findings) {
  const std::string& op = key_of_rules.op;
  const std::vector<std::string>& allowed = detail::algorithms_of(op);
  if (!rules.contains("algorithm")) {
    if (!allowed.empty() && !detail::algorithm_is_optional(op)) {
      findings.add(key_of_rules, "", "ops." + op + " without \"algorithm\"",
                   fmt::format("one of {}", fmt::join(allowed, ", ")));
    }
  } else {
    out.algorithm = rules["algorithm"].get<std::string>();
    if (std::find(allowed.begin(), allowed.end(), out.algorithm) == allowed.end()) {
      findings.add(
          key_of_rules, "/algorithm", "algorithm \"" + out.algorithm + "\" is not one of " + op,
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
          key_of_rules, "/params/" + key,
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
      findings.add(key_of_rules, "/params", "missing \"" + key + "\" for " + out.algorithm, "");
    }
  }
}

void check_rules(const RulesKey& key, const OpRules& rules, Findings& findings) {
  if (const auto& block = rules.accumulator.block; block && block->spill_every % block->taps != 0) {
    findings.add(key, "/accumulator/block/spill_every",
                 fmt::format("{} with groups of {} taps", block->spill_every, block->taps),
                 "0, or a multiple of taps");
  }
  if (rules.padding == OpRules::PaddingValue::explicit_code &&
      (rules.padding_code < rules.activation.type.min() ||
       rules.padding_code > rules.activation.type.max())) {
    findings.add(key, "/padding/code", fmt::format("{}", rules.padding_code),
                 fmt::format("a code of {}", sim::to_string(rules.activation.type)));
  }
  if (rules.min_shift > rules.max_shift) {
    findings.add(key, "/domain/min_shift",
                 fmt::format("min_shift {} > max_shift {}", rules.min_shift, rules.max_shift), "");
  }
  if (rules.multiplier.fraction_bits >= rules.multiplier.bits) {
    findings.add(key, "/requantize/multiplier/fraction_bits",
                 fmt::format("{} of a multiplier of {} bits, sign included",
                             rules.multiplier.fraction_bits, rules.multiplier.bits),
                 fmt::format("at most {}", rules.multiplier.bits - 1));
  }
  if (rules.bias.scale == BiasSpec::Scale::own_power_of_two &&
      rules.weight.granularity == quant::TensorSpec::Granularity::per_channel) {
    findings.add(key, "/tensors/bias/scale",
                 "own_power_of_two with weights that are quantized per channel",
                 "per_tensor weights: one bias unit per layer");
  }
  if (!rules.requantize_per_channel &&
      rules.weight.granularity == quant::TensorSpec::Granularity::per_channel) {
    findings.add(key, "/requantize/granularity",
                 "per_tensor with weights that are quantized per channel",
                 "per_channel, or per_tensor weights");
  }
}

OpRules::Scheme read_scheme(const Json& tensor) {
  return enumerator<OpRules::Scheme>(tensor["scheme"], {"affine", "log2_16", "threshold"});
}

OpRules::Domain read_domain(const Json& requantize) {
  if (requantize.contains("steps") && !requantize["steps"].is_null()) {
    return OpRules::Domain::steps;
  }
  return enumerator<OpRules::Domain>(
      requantize["domain"], {"fixed_point", "float32", "float64", "shift", "threshold", "lut"});
}

std::vector<sim::IntType> read_output_types(const Json& output, const OpRules& rules) {
  if (output["bits"].is_null() && output["signed"].is_null()) return rules.activation_types;
  sim::IntType type = rules.activation.type;
  if (!output["bits"].is_null()) type.bits = output["bits"].get<int>();
  if (!output["signed"].is_null()) type.is_signed = output["signed"].get<bool>();
  if (!type.is_signed) type.bits = std::min(type.bits, 63);
  return {type};
}

OpRules read_rules(const RulesKey& key, const Json& rules, Findings& findings) {
  OpRules out;
  out.activation = read_tensor(rules["tensors"]["activation"]);
  out.activation_types = read_types(rules["tensors"]["activation"]);
  out.weight = read_tensor(rules["tensors"]["weight"]);
  out.weight_types = read_types(rules["tensors"]["weight"]);
  out.bias = read_bias(rules["tensors"]["bias"]);
  out.accumulator = read_accumulator(rules["accumulator"]);
  out.output_types = read_output_types(rules["output"], out);
  out.output_narrow_range = rules["output"]["narrow_range"].is_null()
                                ? out.activation.narrow_range
                                : rules["output"]["narrow_range"].get<bool>();
  out.padding = enumerator<OpRules::PaddingValue>(rules["padding"]["value"],
                                                  {"input_zero_point", "zero", "explicit"});
  out.padding_code = rules["padding"]["code"].get<int64_t>();
  out.padding_counts_in_sums = rules["padding"]["counts_in_sums"].get<bool>();
  out.activation_scheme = read_scheme(rules["tensors"]["activation"]);
  out.weight_scheme = read_scheme(rules["tensors"]["weight"]);
  out.domain = read_domain(rules["requantize"]);
  out.activation_order = enumerator<OpRules::ActivationOrder>(
      rules["activation_order"],
      {"clamp_after_requant", "integer_before_requant", "float_before_requant"});
  out.bias.float_as_integer = rules["requantize"]["float"]["bias_add"] == "integer_before";
  out.multiplier = read_multiplier(rules["requantize"]["multiplier"]);
  out.requantize_per_channel = rules["requantize"]["granularity"] == "per_channel";
  out.min_shift = rules["domain"]["min_shift"].get<int>();
  out.max_shift = rules["domain"]["max_shift"].get<int>();
  out.activation_bound_rounding = rounding_of(rules["activation_bound_rounding"]);
  detail::OutputProgram program = detail::read_program(
      rules, out.output_types.front(),
      [&](const std::string& pointer, const std::string& found, const std::string& expected) {
        findings.add(key, pointer, found, expected);
      });
  out.requantize = std::move(program.program);
  out.output_steps = std::move(program.output_steps);
  read_algorithm(key, rules, out, findings);
  check_rules(key, out, findings);
  return out;
}

/// A variant's `when` needs a condition, and types that its rules take: nobody reaches it
/// otherwise.
void check_condition(const Json& ops, const RulesKey& key, const OpRules& rules,
                     Findings& findings) {
  if (key.variant.empty() || !ops[key.op]["variants"][key.variant].contains("when")) return;
  const std::string place = key.places().front();
  if (rules.when.count() == 0) {
    findings.add_at(place + "/when", "no condition", "activation, weight or bias; or no \"when\"");
  }
  const auto check = [&](const char* tensor, const std::optional<sim::IntType>& type,
                         const std::vector<sim::IntType>& types) {
    if (!type || std::find(types.begin(), types.end(), *type) != types.end()) return;
    findings.add_at(place + "/when/" + tensor,
                    fmt::format("{} in a variant whose /tensors/{} is {}", sim::to_string(*type),
                                tensor, sim::to_string(types.front())),
                    "a type its rules take: nothing reaches it");
  };
  check("activation", rules.when.activation, rules.activation_types);
  check("weight", rules.when.weight, rules.weight_types);
  if (!rules.when.bias) return;
  const bool is_real = *rules.when.bias == DType::float32;
  const bool fits = is_real ? rules.bias.kind == BiasSpec::Kind::float32
                            : rules.bias.kind == BiasSpec::Kind::integer &&
                                  sim::IntType{rules.bias.bits, true}.storage() == *rules.when.bias;
  if (!fits) {
    findings.add_at(place + "/when/bias",
                    fmt::format("{} in a variant with other biases", to_string(*rules.when.bias)),
                    "a bias its /tensors/bias takes: nothing reaches it");
  }
}

void read_aliases(const Json& json, Profile& profile, Findings& findings) {
  const std::vector<std::string>& words = detail::profile_ops();
  for (const RulesKey& key : detail::rules_keys(json)) {
    const std::string place = key.places().front() + "/aliases";
    if (!json.contains(Json::json_pointer(place))) continue;
    const Json& aliases = json.at(Json::json_pointer(place));
    for (size_t i = 0; i < aliases.size(); ++i) {
      const std::string alias = aliases[i].get<std::string>();
      const std::string pointer = fmt::format("{}/{}", place, i);
      if (std::find(words.begin(), words.end(), alias) != words.end()) {
        findings.add_at(pointer, "\"" + alias + "\" is an op", "a phrase that is no op");
      } else if (const auto [it, added] = profile.aliases.emplace(alias, key.name()); !added) {
        findings.add_at(pointer, "\"" + alias + "\" is an alias of " + it->second + " already",
                        "one op for a phrase");
      }
    }
  }
}

}  // namespace

namespace detail {

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
  const Json& ops = json["ops"];
  for (const RulesKey& key : detail::rules_keys(json)) {
    OpRules rules = read_rules(key, detail::effective_rules(json, ops, key), findings);
    rules.when = detail::read_condition(ops, key);
    check_condition(ops, key, rules, findings);
    profile.ops[key.name()] = std::move(rules);
  }
  read_aliases(json, profile, findings);
  std::vector<ErrorInfo> errors = findings.take();
  if (profile.bit_exact && profile.tolerance_lsb != 0) {
    errors.push_back({ErrorCode::bad_value, resolved.place("/tolerance_lsb"),
                      std::to_string(profile.tolerance_lsb) + " under determinism \"bit_exact\"",
                      "0", ""});
  }
  if (!errors.empty()) throw Error(std::move(errors));
  return profile;
}

std::string rules_text(const Json& ops, const RulesKey& key) {
  Json own = ops[key.op];
  own.erase("aliases");
  own.erase("variants");
  std::string text = own.dump();
  if (!key.variant.empty()) {
    Json variant = ops[key.op]["variants"][key.variant];
    variant.erase("aliases");
    text += " variant " + variant.dump();
  }
  for (const std::string& name : algorithms_of(key.op)) text += " " + name;
  if (algorithm_is_optional(key.op)) text += " optional";
  if (key.op == "lut") text += " lut";  // has a setting of its own
  return text;
}

OpRules read_op_rules(const ResolvedProfile& resolved, const Json& ops, const RulesKey& key,
                      std::vector<ErrorInfo>& errors) {
  Findings findings(resolved);
  OpRules rules = read_rules(key, effective_rules(resolved.value, ops, key), findings);
  rules.when = read_condition(ops, key);
  check_condition(ops, key, rules, findings);
  for (ErrorInfo& info : findings.take()) errors.push_back(std::move(info));
  return rules;
}

}  // namespace detail

Profile load_profile(std::string_view name_or_path, const ProfileSearch& search,
                     const std::vector<ProfileOverride>& overrides) {
  return detail::read_profile(detail::resolve_profile(name_or_path, search, overrides));
}

std::string resolved_profile_json(std::string_view name_or_path, const ProfileSearch& search,
                                  const std::vector<ProfileOverride>& overrides) {
  return detail::resolve_profile(name_or_path, search, overrides).value.dump(2) + "\n";
}

}  // namespace facsim::backends
