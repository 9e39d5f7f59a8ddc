// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/tensor_spec.h"
#include "sim/core/tensor.h"

namespace facsim::quant {

/// real = scale * (q - zero_point), q in [quant_min, quant_max] of `type`. One scale per tensor, or one
/// per index of `channel_axis`.
struct QParams {
  std::vector<float> scale{1.0f};     ///< finite, > 0
  std::vector<int64_t> zero_point{0};  ///< same length as scale
  int channel_axis = -1;               ///< -1: per tensor
  sim::IntType type{8, true};
  int64_t quant_min = -128;
  int64_t quant_max = 127;

  bool per_channel() const { return channel_axis >= 0; }
  friend bool operator==(const QParams&, const QParams&) = default;
};

/// Throws Error bad_value (place given) if a scale is not finite, normal-or-denormal > 0 in float32, a
/// zero point is outside [quant_min, quant_max], or lengths disagree.
void check(const QParams& qparams, std::string_view place);

/// Scale and zero point that cover [min, max] (per channel: arrays) by the spec's rule. The range is
/// widened to contain 0. A range of width 0 gives scale `min_scale`.
QParams choose_qparams(std::span<const float> min, std::span<const float> max,
                       const TensorSpec& spec, float min_scale = 1.1920928955078125e-07f);

/// Codes of `real` [any shape] by the spec's formula and rounding. channel axis from qparams.
Tensor quantize(const Tensor& real, const QParams& qparams, const TensorSpec& spec);
/// scale * (q - zero_point) in float32: float(q - zp) * scale, one rounding.
Tensor dequantize(const Tensor& codes, const QParams& qparams);

}  // namespace facsim::quant
