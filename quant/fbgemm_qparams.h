// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "quant/qparams.h"

namespace facsim::quant {

/// Scale and zero point as fbgemm chooses them, in float64. Symmetric specs first widen a range
/// that holds both signs to max(|min| / 2^(b-1), max / (2^(b-1) - 1)) steps on each side and put
/// the zero point in the middle; then for [low, high] with 0 inside
///   scale = (high - low) / (quant_max - quant_min), at least 6.1e-5 (0.1 for an empty range)
///   zero_point = half_even(quant_min - low / scale), or from quant_max - high / scale where that
///   end has the smaller |code| - |value / scale|; clamped.
/// Source: PyTorch aten/src/ATen/native/quantized/cpu/QuantUtils.h ChooseQuantizationParams (1.13).
/// For the same range it differs from choose_qparams: 127.5 against 128 and 127 for int8.
QParams choose_qparams_fbgemm(std::span<const float> min, std::span<const float> max,
                              const TensorSpec& spec);

}  // namespace facsim::quant
