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
    search_min_error,  ///< the multiplier and shift nearest to `real` (TPU-MLIR)
    fixed_fraction,    ///< round half away of real * 2^fraction_bits: the shift is constant
  };
  /// Precision of s_in * s_w / s_out: all in float64; all in float32 (ONNX Runtime, XNNPACK); or
  /// the product in float32 and the division in float64 (TFLite's legacy per-tensor helper).
  enum class ScaleProduct { float64, float32, float32_then_float64 };
  /// How the product of the scales is divided by s_out: product / s_out, or product * (1 / s_out)
  /// with the reciprocal rounded in the same precision.
  enum class Formula { division, reciprocal };
  int bits = 32;  ///< of the signed multiplier: 32 is Q31
  /// Fraction bits of a mantissa in [0.5, 1); 0: bits - 1. Fewer leave headroom above 1.
  int fraction_bits = 0;
  /// Keeps that many bits of the derived multiplier, rounded half up (TFLite 16x8: 16); 0: all.
  int reduce_to_bits = 0;
  Derivation derivation = Derivation::frexp_round;
  ScaleProduct scale_product = ScaleProduct::float64;
  Formula formula = Formula::division;
  int zero_if_shift_below = -31;  ///< TFLite: exponent < -31 gives multiplier 0
  friend bool operator==(const MultiplierSpec&, const MultiplierSpec&) = default;
};

/// s_in * s_w / s_out in the given precision; each operation rounds once (half_even).
double real_multiplier(float input_scale, float weight_scale, float output_scale,
                       MultiplierSpec::ScaleProduct precision);
/// The same by the profile's `scale_product` and `formula`. 0.273939937 / 0.00214854861 in float32
/// is 127.49999, times the reciprocal 127.5 (PyTorch, fbgemm).
double real_multiplier(float input_scale, float weight_scale, float output_scale,
                       const MultiplierSpec& spec);

/// The multiplier and shift that stand for `real` >= 0. Source: TFLite quantization_util.cc
/// QuantizeMultiplier; XNNPACK requantization.h (rndnu).
///
/// With F = fraction_bits (0: bits - 1):
/// frexp_round: real = f * 2^e, f in [0.5, 1); multiplier = round_half_away(f * 2^F), renormalised
/// when that is 2^F; shift = F - e. 0, and e < zero_if_shift_below, give multiplier 0 and shift F.
/// truncate: the same with the fraction cut. float32_mantissa: the 24-bit mantissa of
/// float32(real). power_of_two: multiplier 1. search_min_error: the smallest shift in 0..62 (from
/// -31 for a real above the largest multiplier) whose round_half_away(real * 2^shift) fits `bits`
/// and is nearest to real (TPU-MLIR get_scale_and_shift). fixed_fraction: round_half_away(real *
/// 2^F), shift F. Then reduced, see reduce_multiplier.
///
/// Errors: bad_value for a non-finite or negative real; unsupported for a real that is not a power
/// of two (power_of_two), not a normal float32 (float32_mantissa), or too large for the multiplier
/// (search_min_error, fixed_fraction).
Multiplier derive_multiplier(double real, const MultiplierSpec& spec);

/// The multiplier that the hardware holds for one of `bits`: with d = bits - reduce_to_bits,
/// min((multiplier + 2^(d-1)) >> d, 2^(reduce_to_bits-1) - 1) and shift - d; unchanged without
/// reduce_to_bits. acc 178837022, multiplier 1134312299, exponent -14: 5765, with all 32 bits 5766.
/// Source: TFLite common.cc MultiplyByQuantizedMultiplier(int64_t, ...).
Multiplier reduce_multiplier(Multiplier derived, const MultiplierSpec& spec);

}  // namespace facsim::quant
