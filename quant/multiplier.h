// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "sim/rounding/rounding.h"

namespace facsim::quant {

/// A real multiplier as integers: real = multiplier * 2^-shift (shift counts the whole right shift
/// and negative for real multipliers of 2^(bits-1) and more, which the caller splits into a left
/// shift).
struct Multiplier {
  int64_t multiplier = 0;
  int shift = 0;
};

/// How the integer multiplier is found (profile /requantize/multiplier).
struct MultiplierSpec {
  enum class Derivation {
    frexp_round,       ///< TFLite: frexp, round half away to `bits`-1 fraction bits
    float32_mantissa,  ///< XNNPACK rndnu: the 24-bit mantissa of the float32 value
    power_of_two,      ///< exact shift; anything else is an error
    truncate,          ///< frexp, fraction bits cut
  };
  /// Precision of s_in * s_w / s_out: all in float64; all in float32 (ONNX Runtime, XNNPACK); or
  /// the product in float32 and the division in float64 (TFLite's legacy per-tensor helper).
  enum class ScaleProduct { float64, float32, float32_then_float64 };
  int bits = 32;  ///< of the signed multiplier: 32 is Q31
  Derivation derivation = Derivation::frexp_round;
  ScaleProduct scale_product = ScaleProduct::float64;
  int zero_if_shift_below = -31;  ///< TFLite: exponent < -31 gives multiplier 0
};

/// s_in * s_w / s_out in the given precision; each operation rounds once (half_even).
double real_multiplier(float input_scale, float weight_scale, float output_scale,
                       MultiplierSpec::ScaleProduct precision);

/// The multiplier and shift that stand for `real` >= 0. Source: TFLite quantization_util.cc
/// QuantizeMultiplier; XNNPACK requantization.h (rndnu).
///
/// frexp_round: real = f * 2^e, f in [0.5, 1); multiplier = round_half_away(f * 2^(bits-1)),
/// renormalised when that is 2^(bits-1); shift = bits - 1 - e. 0, and e < zero_if_shift_below, give
/// multiplier 0 and shift bits - 1. truncate: the same with the fraction cut. float32_mantissa: the
/// 24-bit mantissa of float32(real). power_of_two: multiplier 1.
///
/// Errors: bad_value for a non-finite or negative real; unsupported for a real that is not a power
/// of two (power_of_two) or not a normal float32 (float32_mantissa).
Multiplier derive_multiplier(double real, const MultiplierSpec& spec);

}  // namespace facsim::quant
