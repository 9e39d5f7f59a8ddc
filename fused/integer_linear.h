// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/profile/profile.h"
#include "fused/folded_weight.h"
#include "fused/module.h"

namespace facsim::fused {

/// A linear op's accumulators over a batch of codes, with their exact statistics per output
/// channel.
struct Accumulators {
  Tensor values;  ///< [N, …, OC] int32 or int64
  sim::AccumulatorStatistics statistics;
};

/// Wide enough for any layer's sum.
inline constexpr sim::Accumulator kExactAccumulator{
    64, sim::Overflow::wrap, sim::Accumulator::Order::any, sim::Accumulator::Init::zero};

/// The layer as sim sees it up to its accumulators: weights and zero points, padding and
/// accumulator rules of the profile, `bias` [OC] in accumulator units or empty. The matrix product
/// is a 1x1 convolution.
sim::Conv2dParams accumulator_params(const LinearOp& op, const backends::OpRules& rules,
                                     const quant::QParams& input, const FoldedWeight& weight,
                                     Tensor bias);

/// Codes [N, H, W, C] or [N, features] through the layer.
Accumulators accumulate(const LinearOp& op, const sim::Conv2dParams& params, const Tensor& codes,
                        const Context& context);

/// True if no input can take any partial sum, bias included, outside the accumulator's width.
bool accumulator_is_exact(const sim::Conv2dParams& params);

/// uint8 per accumulator: 1 where the device's value is the exact sum, 0 where a partial sum
/// wrapped or saturated on the way. Costs a second, wide pass: ask only where accumulator_is_exact
/// is false.
Tensor exact_accumulators(const LinearOp& op, const sim::Conv2dParams& params, const Tensor& codes,
                          const Tensor& device_values, const Context& context);

/// Requantizes accumulators + bias (per channel, may be empty) to codes. Where `silent` is not
/// empty, channels with a true entry are taken as accumulators of 0.
Tensor requantize(const Accumulators& accumulators, const Tensor& bias,
                  const std::vector<bool>& silent, const sim::Requantizer& requantizer,
                  const Context& context);

}  // namespace facsim::fused
