// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quant/multiplier.h"
#include "quant/tensor_spec.h"
#include "sim/ops/accumulator.h"
#include "sim/requantize/step.h"

namespace facsim::backends {

/// profile /tensors/bias.
struct BiasSpec {
  enum class Kind { integer, float32, none };
  /// Real units of one bias step: s_in * s_w[c] (so it adds to the accumulator), a power of two of
  /// its own, chosen to fit, or any scale of its own (rounded into s_in * s_w[c] when loaded).
  enum class Scale { input_times_weight, own_power_of_two, own };
  /// How a real bias becomes steps of its unit: bias / unit in float64, or in float32 bias *
  /// f32(1 / f32(unit)) (PyTorch).
  enum class Formula { division, reciprocal };
  Kind kind = Kind::integer;
  Scale scale = Scale::input_times_weight;
  Formula formula = Formula::division;
  int bits = 32;
  sim::Rounding rounding = sim::Rounding::half_away_from_zero;
  sim::Overflow overflow = sim::Overflow::saturate;  ///< of a code outside `bits`
  /// A float32 bias that is rounded to accumulator units when the layer is loaded.
  bool float_as_integer = false;
  friend bool operator==(const BiasSpec&, const BiasSpec&) = default;
};

/// When the rules of a variant hold (/ops/<op>/variants/<name>/when): each condition that is there
/// must be met. Without any, a variant is chosen by its name alone.
struct VariantCondition {
  std::optional<sim::IntType> activation, weight;
  std::optional<DType> bias;  ///< how the bias is stored

  int count() const { return activation.has_value() + weight.has_value() + bias.has_value(); }
  friend bool operator==(const VariantCondition&, const VariantCondition&) = default;
};

/// Numeric rules of one op (the profile's defaults with /ops/<op> merged over them).
struct OpRules {
  quant::TensorSpec activation;
  quant::TensorSpec weight;
  BiasSpec bias;
  /// What a code means: scale * (q - zero_point), a power 2^(q / 16), or how many thresholds the
  /// value passed. Layers of the last two exist in named algorithms only.
  enum class Scheme { affine, log2_16, threshold };
  Scheme activation_scheme = Scheme::affine, weight_scheme = Scheme::affine;
  sim::Accumulator accumulator;
  enum class PaddingValue { input_zero_point, zero, explicit_code };
  PaddingValue padding = PaddingValue::input_zero_point;
  int64_t padding_code = 0;             ///< explicit_code
  bool padding_counts_in_sums = false;  ///< average pools: padded taps add to sum and divisor
  /// The code of taps outside the image.
  int64_t padding_value(int64_t input_zero_point) const;
  /// Which arithmetic /requantize names; threshold, lut and float64 exist in named algorithms only.
  enum class Domain { fixed_point, float32, float64, shift, threshold, lut, steps };
  Domain domain = Domain::fixed_point;
  /// Where a fused activation acts: on output codes, on the accumulator, or on the float32 value.
  enum class ActivationOrder {
    clamp_after_requant,
    integer_before_requant,
    float_before_requant,
  };
  ActivationOrder activation_order = ActivationOrder::clamp_after_requant;
  sim::StepProgram requantize;         ///< after lowering the flat sugar; from acc to output codes
  std::vector<size_t> output_steps;    ///< its resize steps that follow the output's type
  quant::MultiplierSpec multiplier;    ///< how multiplier and shift are derived from scales
  bool requantize_per_channel = true;  ///< false: one multiplier for all channels of a layer
  /// Whole right shifts (real = multiplier * 2^-shift) for which the platform is defined.
  int min_shift = -31, max_shift = 62;
  /// How a fused activation's real bounds become codes.
  sim::Rounding activation_bound_rounding = sim::Rounding::half_away_from_zero;
  std::string algorithm;  ///< named algorithm, or empty
  std::map<std::string, int64_t> algorithm_params;
  sim::Rounding algorithm_rounding = sim::Rounding::half_away_from_zero;  ///< params rounding
  /// Code types the op takes: the profile's own first, then what it also accepts.
  std::vector<sim::IntType> activation_types, weight_types;
  /// Code types the op gives: /output bits and signed, or the activation types.
  std::vector<sim::IntType> output_types;
  bool output_narrow_range = false;  ///< outputs do not use their lowest code
  VariantCondition when;             ///< of a variant
  friend bool operator==(const OpRules&, const OpRules&) = default;
};

/// A platform's numeric contract, resolved (extends merged), checked and lowered. Immutable.
struct Profile {
  std::string name;
  std::string title;
  struct Evidence {
    enum class Level { executed, documented, assumed };
    Level level = Level::assumed;
    std::vector<std::string> sources;
  } evidence;
  bool bit_exact = true;  ///< determinism: bit_exact | tolerance
  int tolerance_lsb = 0;

  /// Rules by op word, and of variants by "op variant". An absent op is unsupported.
  std::map<std::string, OpRules, std::less<>> ops;
  /// Other names of ops in this platform's own words ("gemm"), which phrases may use.
  std::map<std::string, std::string, std::less<>> aliases;

  const OpRules& rules(std::string_view op) const;  ///< Error unsupported (op, profile)
  /// Rules for operands of these types: of the variant with the most conditions among those whose
  /// `when` is met, else the op's own. A condition on an operand that is not given is not met.
  /// Error unsupported (op), bad_value (two variants that fit equally well).
  const OpRules& rules_for(std::string_view op, sim::IntType activation,
                           std::optional<DType> bias = std::nullopt,
                           std::optional<sim::IntType> weight = std::nullopt) const;

  /// What a phrase such as "conv2d int16x8" or "linear uint8" names.
  struct Choice {
    std::string name;      ///< key of `ops`
    sim::IntType output;   ///< the output's type
    const OpRules* rules;  ///< in `ops`
  };
  /// A phrase is an op word or an alias, then nothing, the name of a variant, or a type word that
  /// chooses a variant by `when` and the output's type: int8, uint8, int16, int16x8 (activation x
  /// weight bits), …; what follows a comma is prose. Error unsupported with the nearest name.
  Choice choose(std::string_view phrase) const;

  struct Training {
    std::string activation_observer = "ema_min_max";
    std::string weight_observer = "min_max";
    std::string activation_fake_quantize = "fixed";
    std::string weight_fake_quantize = "fixed";
    std::string batch_norm = "batch";  ///< rule until BN freeze: batch | frozen
  } training;
  std::vector<std::string> fusion;  ///< pattern names it fuses, in nni's spelling; empty: all

  std::string fingerprint;  ///< 16 hex digits of the resolved canonical JSON
  std::filesystem::path file;
};

/// Where profiles are looked up by name: `--profile-path`, FACSIM_PROFILE_PATH, the installed or
/// source tree's configs/profiles.
struct ProfileSearch {
  std::vector<std::filesystem::path> folders;
  static ProfileSearch standard();
};

/// One `--set /pointer=value` (value is JSON, or a bare word taken as a string).
struct ProfileOverride {
  std::string pointer;
  std::string value;
};

/// `name_or_path`: a shipped name, or a path (contains '/' or ends in .json). Error holds every
/// finding.
Profile load_profile(std::string_view name_or_path, const ProfileSearch& search,
                     const std::vector<ProfileOverride>& overrides = {});

/// Names found in the search folders, sorted.
std::vector<std::string> list_profiles(const ProfileSearch& search);

struct LintFinding {
  std::string rule;     ///< short id
  std::string pointer;  ///< JSON pointer
  std::string place;    ///< file:line:column /pointer of what set it
  std::string message;  ///< with the smallest example
  bool is_error = false;
};
/// Semantic findings of a profile that reads without errors, errors first.
std::vector<LintFinding> lint_profile(std::string_view name_or_path, const ProfileSearch& search,
                                      const std::vector<ProfileOverride>& overrides = {});

/// Effective value at a pointer ("conv2d int16x8": that op or variant), who set it and whom it
/// overrides, what it means and allows, an example: text for people. What an op or variant does not
/// set is shown as it takes it from the op or the profile. Error bad_value for a pointer that means
/// nothing, unsupported for an op that the profile does not have.
std::string explain_profile(std::string_view name_or_path, const ProfileSearch& search,
                            std::string_view pointer,
                            const std::vector<ProfileOverride>& overrides = {});

/// One value of a resolved profile.
struct ProfileSetting {
  std::string pointer;
  std::string value;  ///< JSON
  std::string place;  ///< who set it; empty: a default of the format
};
std::vector<ProfileSetting> profile_settings(std::string_view name_or_path,
                                             const ProfileSearch& search,
                                             const std::vector<ProfileOverride>& overrides = {});

/// The resolved profile as JSON text (extends merged), keys sorted.
std::string resolved_profile_json(std::string_view name_or_path, const ProfileSearch& search,
                                  const std::vector<ProfileOverride>& overrides = {});
/// The JSON Schema (draft-07) of profiles, as shipped in configs/schema.
std::string profile_schema_json();

}  // namespace facsim::backends
