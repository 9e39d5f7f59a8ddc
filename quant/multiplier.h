// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "sim/rounding/rounding.h"

namespace facsim::quant {

/// A real multiplier as integers: real = multiplier * 2^-shift (shift counts the whole right shift and
/// may be negative only before `split_left_shift`).
struct Multiplier {
  int64_t multiplier = 0;
  int shift = 0;
};

/// How the integer multiplier is found (profile /requantize/multiplier).
struct MultiplierSpec {
  enum class Derivation {
    frexp_round,    ///< TFLite: frexp, round half away to `bits`-1 fraction bits
    float32_mantissa,  ///< XNNPACK rndnu: the 24-bit mantissa of the float32 value
    power_of_two,   ///< exact shift; anything else is an error
    truncate,       ///< frexp, fraction bits cut
  };
  enum class ScaleProduct { float64, float32 };  ///< precision of s_in * s_w / s_out
  int bits = 32;  ///< of the signed multiplier: 32 is Q31
  Derivation derivation = Derivation::frexp_round;
  ScaleProduct scale_product = ScaleProduct::float64;
  int zero_if_shift_below = -31;  ///< TFLite: exponent < -31 gives multiplier 0
};

/// s_in * s_w / s_out in the spec's precision.
double real_multiplier(float input_scale, float weight_scale, float output_scale,
                       MultiplierSpec::ScaleProduct precision);

/// Error bad_value for a non-finite or negative real, unsupported where the derivation cannot hold it.
Multiplier derive_multiplier(double real, const MultiplierSpec& spec);

}  // namespace facsim::quant
