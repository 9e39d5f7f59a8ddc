// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "quant/multiplier.h"

/// Multipliers as TFLite's single-rounding build and the compilers of neural processing units
/// derive them, where a MultiplierSpec cannot say it.
namespace facsim::quant {

/// Vela's scale register pair: real = f * 2^e, f in [0.5, 1); multiplier = round_half_away(f *
/// 2^31), which may be 2^31 (it is not renormalised); shift = 31 - e. A shift outside 0..63 (a real
/// of 2^32 and more, or below 2^-33) gives {0, 16}.
/// Error bad_value for a real that is negative or not finite.
/// Source: Arm Vela scaling.py quantise_scale.
Multiplier vela_scale(double real);

/// The 16-bit form for int16 activations with a 64-bit bias: (multiplier + 2^15) >> 16, at most
/// 32767; shift - 16, from vela_scale.
/// Source: Arm Vela scaling.py reduced_quantise_scale.
Multiplier vela_reduced_scale(double real);

/// derive_multiplier(real, {}), but at most (2^31 - 1) * 2^-1: an exponent above 30 gives
/// multiplier 2^31 - 1 and shift 1. Source: TFLite quantization_util.cc QuantizeMultiplier with
/// TFLITE_SINGLE_ROUNDING.
Multiplier tflite_single_rounding_scale(double real);

/// 1 / taps for average pools: with N = 31 - rescale_bits and k the exponent of taps - 1 in
/// frexp's sense, multiplier = (2^(N + k) + 2^k) / taps cut to an integer, shift = N + k. With one
/// half_up shift it equals TFLite's division rounded half away for every int8 sum of up to 512
/// taps. taps >= 1 and rescale_bits 0..31, with N + k < 64 (else Error unsupported).
/// Source: Arm Vela scaling.py quantise_pooling_scale.
Multiplier vela_pooling_scale(int64_t taps, int rescale_bits = 0);

/// 1 / taps for apply_scale_32: k = bits of (taps - 1), multiplier = ((2^30 + 1) * 2^k) / taps cut
/// to an integer, shift = 30 + k. taps 1..2^30.
/// Source: TOSA specification and reference model QuantUtil::reciprocal_scale.
Multiplier tosa_reciprocal_scale(int64_t taps);

}  // namespace facsim::quant
