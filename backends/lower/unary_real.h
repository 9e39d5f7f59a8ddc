// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/lower/lower.h"

namespace facsim::backends {

/// True if the op's algorithm is one of those below: tables of a float32 function, or XNNPACK's
/// leaky_relu of 8-bit multipliers.
bool is_unary_real(const OpRules& rules);

/// leaky_relu, sigmoid or tanh (the word `op`) by the algorithm of `rules`:
///   ort.lookup_table, xnnpack.lookup_table: each code dequantized, the function in float32,
///     quantized by the rules' formula and rounding (XNNPACK fixes the output scale of sigmoid to
///     1/256 and of tanh to 1/128, with the lowest code, or the middle, as zero point);
///   xnnpack.lrelu_q8: y = ((q - z_in) * m + 128 + 256 * z_out) >> 8, saturated, with m =
///     half_even(256 * r), r = f32(s_in / s_out), for q < z_in: r = f32(f32(s_in / s_out) * alpha).
/// `alpha` is leaky_relu's. Error unsupported for scales or an alpha the platform refuses.
std::shared_ptr<const sim::Op> lower_unary_real(const OpRules& rules, std::string_view op,
                                                const quant::QParams& input,
                                                const quant::QParams& output, float alpha);

}  // namespace facsim::backends
