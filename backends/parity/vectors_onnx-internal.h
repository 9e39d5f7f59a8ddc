// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string_view>

#include "backends/parity/vectors_case-internal.h"

namespace facsim::backends::detail {

using Roles = std::initializer_list<std::string_view>;

/// Scales and zero points (0 where absent) of a quantized tensor, along `axis` if there are
/// several.
quant::QParams onnx_qparams(const CaseData& data, Roles scale, Roles zero_point, sim::IntType type,
                            int axis);
/// Zero points alone, with scale 1.
quant::QParams onnx_zero_points(const CaseData& data, Roles zero_point, sim::IntType type,
                                int axis);

/// An NCHW result of an NHWC op on an NCHW input: transposed in and out.
Tensor execute_nchw(const sim::Op& op, const Tensor& input, const Shape& expected,
                    const sim::RunContext& context);

/// A bias in accumulator units: its scales are s_x * s_w.
LayerBias onnx_bias(const Tensor* codes, const quant::QParams& input,
                    const quant::QParams& weights);

/// y = a [..., K] by b [K, N]: a Linear whose rows are the leading axes of a; or by b [..., K, N]
/// with the same leading axes as a [..., R, K].
Tensor matmul(const CaseRun& run, const Tensor& a, const quant::QParams& a_qparams, const Tensor& b,
              const quant::QParams& b_qparams, const LayerBias& bias,
              const quant::QParams& y_qparams, const Shape& expected);

/// ONNX window attributes; kernel from the weights or `kernel_shape`.
struct OnnxWindow {
  sim::Window2d window;
  int64_t groups = 1;
};
OnnxWindow onnx_window(const CaseData& data, Pair kernel);

}  // namespace facsim::backends::detail
