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
  /// Real units of one bias step: s_in * s_w[c] (so it adds to the accumulator), or a power of two
  /// of its own, chosen to fit.
  enum class Scale { input_times_weight, own_power_of_two };
  Kind kind = Kind::integer;
  Scale scale = Scale::input_times_weight;
  int bits = 32;
  sim::Rounding rounding = sim::Rounding::half_away_from_zero;
  friend bool operator==(const BiasSpec&, const BiasSpec&) = default;
};

/// Numeric rules of one op (the profile's defaults with /ops/<op> merged over them).
struct OpRules {
  quant::TensorSpec activation;
  quant::TensorSpec weight;
  BiasSpec bias;
  sim::Accumulator accumulator;
  enum class PaddingValue { input_zero_point, zero };
  PaddingValue padding = PaddingValue::input_zero_point;
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

  /// Ops: conv2d, depthwise_conv2d, linear, add, max_pool2d, avg_pool2d, global_avg_pool, quantize,
  /// dequantize, requantize, relu, lut. Every op is present, absent means unsupported.
  std::map<std::string, OpRules, std::less<>> ops;
  const OpRules& rules(std::string_view op) const;  ///< Error unsupported (op, profile)

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

/// Effective value at a pointer, the file and line that set it and those it overrides, what it
/// means, what is allowed, an example with numbers: text for people. A pointer into /ops/<op> that
/// the op does not set shows the profile's own value. Error bad_value for a pointer that means
/// nothing.
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
