// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "sim/core/types.h"
#include "sim/rounding/rounding.h"

namespace facsim::quant {

/// Everything that says how a platform represents one kind of tensor (design.md §4
/// tensors.activation/weight). A backends::Profile fills it.
struct TensorSpec {
  /// Which code means 0: one that fits the range, always 0, or the middle of an unsigned type
  /// (PyTorch's symmetric quint8: 128).
  enum class ZeroPoint { any, zero, middle };
  enum class Granularity { per_tensor, per_channel };
  /// Powers of two cover the range (the next one upwards), or take the nearest in the logarithm
  /// (MQBench's pot_scale: 2^half_even(log2 scale); the range may then be clipped).
  enum class Scale { any, power_of_two, nearest_power_of_two };
  /// How a range becomes scale and zero point: as PyTorch's observers (choose_qparams), or as
  /// fbgemm's ChooseQuantizationParams, which PyTorch's fused observers call
  /// (choose_qparams_fbgemm).
  enum class RangeRule { observer, fbgemm };
  /// How a real becomes a code: x * (1/s) or x / s in float32, and whether the zero point is added
  /// before or after rounding. They differ on ties (reference/arithmetic.md §C 6 and 3).
  enum class Formula { reciprocal, division };
  /// `before_rounding_fused`: round(fma(x, 1/s, zero_point)), one rounding less; what compilers
  /// make of PyTorch's per-tensor learnable backward kernel (with the reciprocal formula only).
  enum class ZeroPointAdd { after_rounding, before_rounding, before_rounding_fused };

  sim::IntType type{8, true};
  bool narrow_range = false;  ///< drops the lowest code: int8 is [-127, 127]
  ZeroPoint zero_point = ZeroPoint::any;
  Granularity granularity = Granularity::per_tensor;
  int channel_axis = 0;
  Scale scale = Scale::any;
  RangeRule range_rule = RangeRule::observer;
  sim::Rounding rounding = sim::Rounding::half_even;
  Formula formula = Formula::division;
  ZeroPointAdd zero_point_add = ZeroPointAdd::after_rounding;
  /// Symmetric scale: max(|min|,|max|) / symmetric_divisor; 127.5 is PyTorch's for [-128, 127], 127
  /// TFLite's. 0: (quant_max - quant_min) / 2.
  double symmetric_divisor = 0;

  int64_t quant_min() const { return type.min() + (narrow_range ? 1 : 0); }
  int64_t quant_max() const { return type.max(); }
  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};

}  // namespace facsim::quant
