// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "sim/core/numeric.h"
#include "sim/ops/unary_codes.h"
#include "sim/requantize/fixed_point.h"

namespace facsim::sim {

/// x * relu6(x + 3) / 6 of 8-bit codes in 16-bit fixed point. Exponents are powers of two to the
/// left of a Q15 multiplier: real multiplier = multiplier * 2^(exponent - 15).
struct HardSwishParams {
  IntType type = kInt8;  ///< int8 or uint8, of input and output
  int64_t input_zero_point = 0, output_zero_point = 0;
  int32_t output_multiplier = 0;   ///< input_scale / 128 / output_scale; 0..32767
  int output_exponent = 0;         ///< -15..0
  int32_t reluish_multiplier = 0;  ///< input_scale / 128 / (3 / 32768); 0..32767
  int reluish_exponent = 0;        ///< -15..31
};

namespace hard_swish_s16 {

/// a * b / 2^15 rounded half_up; a, b of 16 bits, not both the minimum.
template <class I>
constexpr I rounding_high_mul(I a, I b) {
  return shift_right_floor(a * b + constant_like(a, 1 << 14), constant_like(a, 15));
}
/// a * b / 2^15 toward zero.
template <class I>
constexpr I truncating_high_mul(I a, I b) {
  const I product = a * b;
  const I zero = constant_like(a, 0);
  return shift_right_floor(product + select(product < zero, constant_like(a, 0x7fff), zero),
                           constant_like(a, 15));
}
/// x * 2^n saturated to 16 bits; x of 16 bits, n >= 0.
template <class I>
constexpr I saturating_left_shift(I x, int n) {
  const int shift = std::min(n, 16);
  const I max = constant_like(x, INT16_MAX >> shift);
  const I min = constant_like(x, -(int64_t{32768} >> shift));
  const I shifted = shift_left(x, constant_like(x, std::min(n, 15)));
  const I raised = select(x > max, constant_like(x, INT16_MAX), shifted);
  return select(x < min, constant_like(x, INT16_MIN), raised);
}

/// The output code of v = code - input_zero_point, |v| <= 255, over a 32-bit integer-like:
///   h = v * 2^7
///   p = h * output_multiplier                                (half_up, 16 bits)
///   r = h * reluish_multiplier * 2^reluish_exponent          (the last bit of a left shift after
///   the
///       multiplication; every left shift saturates to 16 bits; right half_away_from_zero)
///   y = ((r + 2^15) >> 1) * p                                (toward zero, 16 bits)
///   code = clamp(wrap16(y * 2^output_exponent + output_zero_point))     half_away_from_zero
/// Source: TFLite reference/hard_swish.h HardSwish<T>(HardSwishParams).
/// `trace` is called with the name and value of each of them.
template <class I, class Trace>
constexpr I hard_swish_traced(I v, const HardSwishParams& params, const Trace& trace) {
  const I high = shift_left(v, constant_like(v, 7));
  const I product = rounding_high_mul(high, constant_like(v, params.output_multiplier));
  const int exponent = params.reluish_exponent;
  I reluish = exponent > 0 ? saturating_left_shift(high, exponent - 1) : high;
  reluish = rounding_high_mul(reluish, constant_like(v, params.reluish_multiplier));
  if (exponent > 0) reluish = saturating_left_shift(reluish, 1);
  if (exponent < 0) {
    reluish = fixed_point::rounding_divide_by_pot(reluish, constant_like(v, -exponent));
  }
  const I gate = shift_right_floor(reluish + constant_like(v, 1 << 15), constant_like(v, 1));
  const I gated = truncating_high_mul(gate, product);
  const I scaled =
      fixed_point::rounding_divide_by_pot(gated, constant_like(v, -params.output_exponent));
  const I sum = scaled + constant_like(v, params.output_zero_point);
  const I sixteen = constant_like(v, 16);
  const I wrapped = shift_right_floor(shift_left(sum, sixteen), sixteen);
  const I code = smaller_of(larger_of(wrapped, constant_like(v, params.type.min())),
                            constant_like(v, params.type.max()));
  trace("h = v * 2^7", high);
  trace("p = h * output multiplier", product);
  trace("r = h * reluish multiplier, shifted", reluish);
  trace("(r + 2^15) >> 1", gate);
  trace("y = that * p", gated);
  trace("y * 2^exponent", scaled);
  trace("plus zero point, 16 bits", wrapped);
  trace("clamp to the type", code);
  return code;
}

template <class I>
constexpr I hard_swish(I v, const HardSwishParams& params) {
  return hard_swish_traced(v, params, [](const char*, I) {});
}

}  // namespace hard_swish_s16

class HardSwish final : public UnaryCodes {
 public:
  /// Error unsupported for another type or an exponent outside its range; bad_value for a
  /// multiplier or zero point outside.
  explicit HardSwish(HardSwishParams params);
  std::string_view kind() const override { return "hard_swish"; }
  const HardSwishParams& params() const { return params_; }

 private:
  int64_t evaluate(int64_t code, Events& events, std::vector<TracedStep>* steps) const override;

  HardSwishParams params_;
};

}  // namespace facsim::sim
