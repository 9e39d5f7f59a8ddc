// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "backends/graph/int_graph.h"
#include "backends/profile/profile.h"
#include "sim/graph/graph.h"
#include "sim/ops/add.h"
#include "sim/ops/linear.h"
#include "sim/ops/pool.h"

namespace facsim::backends {

/// What the requantization of a conv/linear/depthwise layer needs besides the profile.
struct LinearScales {
  float input_scale = 1;
  std::vector<float> weight_scale{1.0f};  ///< 1 or OC, > 0
  quant::QParams output;                  ///< per tensor
  Activation activation = Activation::none;
};

/// How many steps of s_in * s_w one step of the accumulator is: 2^shift of its term, else 1.
double products_per_accumulator_step(const sim::Accumulator& accumulator);

/// Bias of a layer in the profile's own form.
struct LayerBias {
  Tensor codes;            ///< what is stored in the file: int32, int8, … or float32; empty: none
  quant::QParams qparams;  ///< its scales (integer kinds)
};

/// Quantizes a real bias [OC] by the profile's bias rule (saturating). For float biases: rounds to
/// float32.
LayerBias quantize_bias(const OpRules& rules, std::span<const double> bias, float input_scale,
                        std::span<const float> weight_scale);

/// Clamp bounds in output codes: the output type's range, cut by the activation's real bounds
/// (zero_point + round(bound / scale), rounding by the platform's rule).
struct ClampBounds {
  int64_t min = 0, max = 0;
};
ClampBounds clamp_bounds(const OpRules& rules, Activation activation, const quant::QParams& output);

/// The bound program of a conv/linear layer: multiplier, shift, left_shift, scale, zero_point,
/// clamp_min, clamp_max (and bias for float biases) from the scales by the profile's derivation.
sim::Requantizer make_requantizer(const OpRules& rules, const LinearScales& scales,
                                  const LayerBias& bias);

/// As above from multipliers the caller has (vectors, .tflite tests). shift is the whole right
/// shift, real = multiplier * 2^-shift, may be negative (left).
struct GivenMultiplier {
  std::vector<int64_t> multiplier, shift;  ///< for programs that multiply integers
  std::vector<float> scale;                ///< for programs that scale in float32
  int64_t zero_point = 0;
  ClampBounds clamp;
  sim::IntType output{8, true};
};
sim::Requantizer make_requantizer(const OpRules& rules, const GivenMultiplier& given);

/// Scales that the platform can execute. A power-of-two platform whose whole right shift
/// log2(s_out / (s_in * s_w)) must lie in rules.min_shift..max_shift moves scales by its own rule
/// (Vitis AI): a shift above the range makes the weights coarser, one below it the output. Other
/// platforms get their scales back unchanged. Weights and output must then be quantized with the
/// new scales.
struct LegalScales {
  std::vector<float> weight_scale;
  float output_scale = 1;
};
LegalScales legal_scales(const OpRules& rules, float input_scale,
                         std::span<const float> weight_scale, float output_scale);

/// The accumulator-unit bias tensor that sim::Conv2dParams wants (own_power_of_two biases are
/// shifted), or empty when the bias is part of the program.
Tensor accumulator_bias(const OpRules& rules, const LayerBias& bias, float input_scale,
                        std::span<const float> weight_scale);

/// Everything of one conv2d (or depthwise, by groups) / linear layer.
sim::Conv2dParams lower_conv2d(const Profile& profile, const sim::Window2d& window, int64_t groups,
                               const quant::QParams& input, const Tensor& weights,
                               const quant::QParams& weight_qparams, const LayerBias& bias,
                               const quant::QParams& output, Activation activation);
/// By the rules of depthwise_conv2d, also for a single channel (where lower_conv2d takes conv2d's).
sim::Conv2dParams lower_depthwise_conv2d(const Profile& profile, const sim::Window2d& window,
                                         int64_t groups, const quant::QParams& input,
                                         const Tensor& weights,
                                         const quant::QParams& weight_qparams,
                                         const LayerBias& bias, const quant::QParams& output,
                                         Activation activation);
sim::LinearParams lower_linear(const Profile& profile, const quant::QParams& input,
                               const Tensor& weights, const quant::QParams& weight_qparams,
                               const LayerBias& bias, const quant::QParams& output,
                               Activation activation);

std::shared_ptr<const sim::Op> lower_add(const Profile& profile, const quant::QParams& lhs,
                                         const quant::QParams& rhs, const quant::QParams& output,
                                         Activation activation);
std::shared_ptr<const sim::Op> lower_avg_pool2d(const Profile& profile, const sim::Window2d& window,
                                                bool global, bool count_include_pad,
                                                const quant::QParams& input,
                                                const quant::QParams& output, Activation activation,
                                                int64_t ih, int64_t iw);
std::shared_ptr<const sim::Op> lower_quantize(const Profile& profile, const quant::QParams& output);
std::shared_ptr<const sim::Op> lower_dequantize(const Profile& profile,
                                                const quant::QParams& input);
std::shared_ptr<const sim::Op> lower_requantize(const Profile& profile, std::string_view kind,
                                                const quant::QParams& input,
                                                const quant::QParams& output,
                                                Activation activation);

/// One node of an IntGraph under a profile. The node's inputs are graph.tensors[...].
std::shared_ptr<const sim::Op> lower_node(const IntGraph& graph, const IntNode& node,
                                          const Profile& profile);

/// The profile of a name that a node gives (IntNode::profile); it must outlive the call.
using ProfileResolver = std::function<const Profile&(std::string_view name)>;

/// The whole network under `profile`; nodes that name another one under what `resolve` returns
/// (a layer on the CPU beside an accelerator, a first and last layer of more bits). Error
/// unsupported names node and profile.
sim::Graph lower(const IntGraph& graph, const Profile& profile, const ProfileResolver& resolve);
/// As above for a network whose nodes name no other profile. Error unsupported for one that does.
sim::Graph lower(const IntGraph& graph, const Profile& profile);

}  // namespace facsim::backends
