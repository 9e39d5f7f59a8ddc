// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/tensor_spec.h"
#include "sim/core/tensor.h"

namespace facsim::quant {

/// real = scale * (q - zero_point), q in [quant_min, quant_max] of `type`. One scale per tensor, or
/// one per index of `channel_axis`.
struct QParams {
  std::vector<float> scale{1.0f};      ///< finite, > 0
  std::vector<int64_t> zero_point{0};  ///< same length as scale
  int channel_axis = -1;               ///< -1: per tensor
  sim::IntType type{8, true};
  int64_t quant_min = -128;
  int64_t quant_max = 127;

  bool per_channel() const { return channel_axis >= 0; }
  friend bool operator==(const QParams&, const QParams&) = default;
};

/// Throws Error bad_value (place given) if a scale is not a normal float32 number > 0 (a denormal
/// one would depend on the caller's floating-point mode), a zero point is outside
/// [quant_min, quant_max], or lengths disagree.
void check(const QParams& qparams, std::string_view place);

/// Scale and zero point that cover [min, max] (one entry per channel, or one), in float32 as
/// PyTorch's observers compute them. The range is first widened to contain 0.
///   zero point any:   scale = (max - min) / (quant_max - quant_min),
///                     zero_point = clamp(quant_min - half_even(min / scale))
///   zero point zero:  scale = max(-min, max) / divisor, divisor = symmetric_divisor or
///                     (quant_max - quant_min) / 2 (unsigned: max / quant_max); zero_point = 0
///   zero point middle: the same scale with the divisor, zero_point = (quant_min + quant_max + 1) /
///   2
/// A scale below `min_scale` becomes min_scale; power_of_two takes the next power of two upwards,
/// so that the range stays covered. The zero point is computed from the final scale. Errors:
/// bad_value for NaN, infinity, min > max, or lengths that differ.
QParams choose_qparams(std::span<const float> min, std::span<const float> max,
                       const TensorSpec& spec, float min_scale = 1.1920928955078125e-07f);

/// Codes of `real` [any shape] by the spec's formula, zero_point_add and rounding, clamped to the
/// qparams' [quant_min, quant_max], all in float32: v = x / scale, or x * float32(1 / scale); q =
/// round(v) + zero_point, or round(v + zero_point). Infinities clamp. Errors: bad_value for NaN
/// (with its index); shape_mismatch if the channel axis does not fit.
Tensor quantize(const Tensor& real, const QParams& qparams, const TensorSpec& spec);
/// scale * (q - zero_point) in float32: float(q - zp) * scale, one rounding.
Tensor dequantize(const Tensor& codes, const QParams& qparams);

}  // namespace facsim::quant
