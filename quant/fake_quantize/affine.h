// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "quant/qparams.h"
#include "sim/core/parallel.h"
#include "sim/core/tensor.h"

namespace facsim::quant {

/// A tensor after fake quantization.
struct FakeQuantized {
  Tensor codes;   ///< in the storage type
  Tensor real;    ///< float32: scale * (code - zero_point)
  Tensor inside;  ///< uint8: 1 where the code before clamping lies in [quant_min, quant_max]
};

/// Quantizes and dequantizes, remembering which elements were clipped.
///   v = x * (1 / scale) or x / scale          (spec.formula, float32)
///   q = round(v) + zero_point or round(v + zero_point), that sum perhaps fused with the product
///       (spec.zero_point_add, spec.rounding)
///   code = clamp(q, quant_min, quant_max), real = (code - zero_point) * scale
/// A q outside int64, infinite or NaN counts as clipped and becomes quant_min: PyTorch's kernel
/// converts to int64 on x86, where all of these give INT64_MIN, +infinity too.
/// With reciprocal, half_even and after_rounding this is PyTorch's
/// fake_quantize_per_{tensor,channel}_affine (FakeQuantizeCore.cpp); the goldens prove it.
/// Error shape_mismatch if the channel axis does not fit.
FakeQuantized fake_quantize(const Tensor& x, const QParams& qparams, const TensorSpec& spec,
                            sim::ThreadPool* pool = nullptr);

/// Straight-through gradient: dx = dy * inside.
Tensor straight_through(const Tensor& dy, const Tensor& inside);

/// Gradients of scale and zero point [C] of a learned quantizer (LSQ, Esser et al. 2020; LSQ+).
/// With q before clamping, n = quant_min, p = quant_max:
///   dscale = factor * sum dy * { n - z if q < n; p - z if q > p; (real - x) / scale inside }
///   dzero_point = factor * sum dy * { -scale outside; 0 inside }
/// `qparams` holds the scale and the rounded zero point that the sums use. Sums in float64.
struct RangeGradient {
  std::vector<float> scale, zero_point;
};
RangeGradient range_gradient(const Tensor& dy, const Tensor& x, const FakeQuantized& forward,
                             const QParams& qparams, double factor);

}  // namespace facsim::quant
