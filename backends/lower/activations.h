// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "backends/lower/lower.h"
#include "sim/ops/hard_swish.h"
#include "sim/ops/leaky_relu.h"
#include "sim/ops/prelu.h"
#include "sim/ops/sigmoid.h"
#include "sim/ops/softmax.h"

namespace facsim::backends {

/// The nonlinear ops from the scales of their tensors, by the rules of the profile for the input's
/// type. Errors: unsupported for a type or algorithm the profile does not give the op, and for
/// scales or zero points that the platform refuses.

/// `op` is "sigmoid" or "tanh".
std::shared_ptr<const sim::Op> lower_sigmoid(const Profile& profile, std::string_view op,
                                             const quant::QParams& input,
                                             const quant::QParams& output);
std::shared_ptr<const sim::Op> lower_hard_swish(const Profile& profile, const quant::QParams& input,
                                                const quant::QParams& output);
std::shared_ptr<const sim::Op> lower_leaky_relu(const Profile& profile, const quant::QParams& input,
                                                const quant::QParams& output, float alpha);
std::shared_ptr<const sim::Op> lower_prelu(const Profile& profile, const quant::QParams& input,
                                           const quant::QParams& alpha,
                                           const quant::QParams& output);
/// Over the last axis, of beta * x.
std::shared_ptr<const sim::Op> lower_softmax(const Profile& profile, const quant::QParams& input,
                                             const quant::QParams& output, float beta);

namespace detail {

/// `integer_bits` and the plain left shift of a Q31 multiplier bound the difference that an int32
/// of that format holds: floor((2^b - 1) * 2^(31 - b) / 2^left_shift). Source: TFLite
/// quantization_util.cc CalculateInputRadius.
int64_t input_radius(int integer_bits, int64_t left_shift);

/// The rules' program from differences of codes to an int32, by the multiplier of `real` or `given`
/// (whose output, zero point and clamp do not matter).
sim::Requantizer scale_program(const OpRules& rules, double real);
sim::Requantizer scale_program(const OpRules& rules, GivenMultiplier given);
/// The rules' program from differences of codes to output codes, without a fused activation.
sim::Requantizer output_program(const OpRules& rules, double real, const quant::QParams& output);
/// output_program with the real multiplier s_in * slope / s_out in the precision of the rules'
/// scale_product.
sim::Requantizer slope_program(const OpRules& rules, const quant::QParams& input, float slope,
                               const quant::QParams& output);

/// x = code * multiplier / 2^shift half_up: the input of sim::sigmoid_by_table. Error unsupported
/// for a multiplier outside 0..32767 or a shift outside 0..31.
sim::Requantizer table_scale(int64_t multiplier, int64_t shift);

}  // namespace detail
}  // namespace facsim::backends
