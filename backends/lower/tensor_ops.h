// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>

#include "backends/lower/lower.h"
#include "sim/ops/batch_matmul.h"
#include "sim/ops/mul.h"
#include "sim/ops/resize.h"
#include "sim/ops/transpose_conv2d.h"

namespace facsim::backends {

/// As lower_conv2d, by the rules of transpose_conv2d.
sim::TransposeConv2dParams lower_transpose_conv2d(
    const Profile& profile, const sim::Window2d& window,
    const std::array<int64_t, 2>& output_padding, int64_t groups, const quant::QParams& input,
    const Tensor& weights, const quant::QParams& weight_qparams, const LayerBias& bias,
    const quant::QParams& output, Activation activation);

/// Everything but the requantization comes from the rules; real multiplier s_lhs * s_rhs / s_out in
/// the profile's precision.
sim::BatchMatmulParams lower_batch_matmul(const Profile& profile, const quant::QParams& lhs,
                                          const quant::QParams& rhs, const quant::QParams& output,
                                          Activation activation);
sim::MulParams lower_mul(const Profile& profile, const quant::QParams& lhs,
                         const quant::QParams& rhs, const quant::QParams& output,
                         Activation activation);

std::shared_ptr<const sim::Op> lower_sub(const Profile& profile, const quant::QParams& lhs,
                                         const quant::QParams& rhs, const quant::QParams& output,
                                         Activation activation);
std::shared_ptr<const sim::Op> lower_min_max(const Profile& profile, std::string_view op,
                                             const quant::QParams& lhs, const quant::QParams& rhs,
                                             const quant::QParams& output);

/// Mean over `axes` of an input whose reduced extents have `count` elements.
///
/// tflite.folded_mean: M, W (whole right shift) from s_in / s_out; with k = min(floor(log2(count)),
/// 32, 62 - W): multiplier M * 2^k / count (cut), shift W + k; acc = sum of q - z_in through the
/// rules' program. requantized_mean: the rules' own derivation of s_in / (count * s_out).
/// Source: TFLite reference/reduce.h QuantizedMeanOrSum.
std::shared_ptr<const sim::Op> lower_mean(const Profile& profile, const quant::QParams& input,
                                          std::vector<int> axes, bool keep_dims, int64_t count,
                                          const quant::QParams& output);

/// One more input behind the others; inputs of the output's scale and zero point are copied, others
/// pass the requantize program of the rules of concat.
std::shared_ptr<const sim::Op> lower_concat(const Profile& profile, int axis,
                                            const std::vector<quant::QParams>& inputs,
                                            const quant::QParams& output);

}  // namespace facsim::backends
