// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/lower/lower.h"
#include "backends/lower/require-internal.h"
#include "backends/lower/steps-internal.h"

namespace facsim::backends::detail {

/// What a layer has to offer to the arguments of its program. Vectors have length 1 or one entry
/// per channel.
struct LayerValues {
  std::vector<float> accumulator_scale{1.0f};  ///< s_in * s_w[c] in float32
  std::vector<double> real_multiplier{1.0};    ///< s_in * s_w[c] / s_out in the profile's precision
  float output_scale = 1;
  int64_t zero_point = 0;
  std::vector<int64_t> folded_zero_points;  ///< of each channel's offset; empty: zero_point
  ClampBounds clamp;
  /// Real bounds of a fused activation that acts before the requantization.
  float activation_min = -std::numeric_limits<float>::infinity();
  float activation_max = std::numeric_limits<float>::infinity();
  std::vector<float> bias{0.0f};  ///< real, for float32 biases
  sim::IntType output{8, true};
  /// Used as they are instead of a derivation from real_multiplier; whole right shifts.
  const GivenMultiplier* given = nullptr;
};

/// The program of `rules` for outputs of `output` type: its output_steps resize to that type.
sim::StepProgram program_for(const OpRules& rules, sim::IntType output);

/// Values of every argument that `program` names (profile_fields argument_names).
///
/// `shift` and `left_shift`: the whole right shift W of real = multiplier * 2^-W, less the constant
/// shifts K of the program; rest = W - K; shift = max(rest, 0), left_shift = max(-rest, 0). Without
/// a left_shift in the program, rest must be >= 0. `bias` is divided by the unit the value has
/// where it is added: s_in * s_w[c] before any scaling, 1 after accumulator_scale, s_out after
/// scale. `activation_min` and `activation_max` likewise (in integer steps rounded by
/// activation_bound_rounding); `offset` is zero_point / real multiplier, rounded by the bias's
/// rule. Errors: unsupported for W outside rules.min_shift..max_shift, a shift that does not fit,
/// or a scale that a caller with only multipliers does not have.
sim::Arguments bind_arguments(const sim::StepProgram& program, const OpRules& rules,
                              const LayerValues& values);

/// program_for + bind_arguments.
sim::Requantizer bind(const OpRules& rules, const LayerValues& values);

/// A program that first does `prefix`, then requantizes by the rules: the inputs of add.
sim::Requantizer bind_after(std::vector<sim::Step> prefix, const OpRules& rules,
                            const LayerValues& values);

/// float32 to codes: v = x / scale (or x * f32(1 / scale)), round(v) + zero_point or round(v +
/// zero_point), as the spec says; the clamp to quant_min..quant_max is done in float32 before
/// rounding, which gives the same codes as afterwards because the bounds are integers.
sim::Requantizer quantizer(const quant::TensorSpec& spec, const quant::QParams& output);
/// Codes to float32: f32(q - zero_point) * scale.
sim::Requantizer dequantizer(const quant::QParams& input);

/// The three real multipliers of algorithm scaled_add, with t = 2 * max(s1, s2): s1 / t, s2 / t and
/// t / (2^left_shift * s_out), all in the precision of the rules' scale_product. TFLite add.cc and
/// sub.cc take float64, TFLite Micro's sub_common.cc float32.
std::array<double, 3> scaled_add_multipliers(const OpRules& rules, float lhs_scale, float rhs_scale,
                                             float output_scale);

/// A bound less the zero point, as the step that clamps before the addition takes it. Beyond int64
/// it is cut to the nearest int64, which bounds the same values.
int64_t minus_zero_point(int64_t bound, int64_t zero_point);

/// The whole range of a type as clamp bounds.
ClampBounds whole_range(sim::IntType type);

/// True if `program` applies the activation before the requantization.
bool names_activation(const sim::StepProgram& program);
void set_activation_bounds(Activation activation, LayerValues& values);

}  // namespace facsim::backends::detail
