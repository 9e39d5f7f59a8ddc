// SPDX-License-Identifier: Apache-2.0
#include "quant/multiplier.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "sim/core/check.h"
#include "sim/core/error.h"

namespace facsim::quant {

namespace {

/// real = fraction * 2^exponent, the fraction (0.5 <= fraction < 1) held in bits - 1 bits.
Multiplier from_frexp(double real, const MultiplierSpec& spec, sim::Rounding rounding) {
  FACSIM_CHECK(spec.bits >= 2 && spec.bits <= 32);
  const int fraction_bits = spec.bits - 1;
  int exponent = 0;
  const double fraction = std::frexp(real, &exponent);
  auto multiplier =
      static_cast<int64_t>(sim::round_real(rounding, std::ldexp(fraction, fraction_bits)));
  if (multiplier == int64_t{1} << fraction_bits) {
    multiplier /= 2;
    ++exponent;
  }
  if (real == 0 || exponent < spec.zero_if_shift_below) return {0, fraction_bits};
  return {multiplier, fraction_bits - exponent};
}

Multiplier from_float32_mantissa(double real) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(real));
  const auto biased_exponent = static_cast<int>(bits >> 23);
  if (biased_exponent == 0 || biased_exponent == 255) {
    throw Error({ErrorCode::unsupported, "multiplier", fmt::format("{}", real),
                 "a normal float32 number", ""});
  }
  return {static_cast<int64_t>((bits & 0x7fffffu) | 0x800000u), 127 + 23 - biased_exponent};
}

Multiplier from_power_of_two(double real) {
  int exponent = 0;
  if (std::frexp(real, &exponent) != 0.5) {
    throw Error({ErrorCode::unsupported, "multiplier", fmt::format("{}", real), "a power of two",
                 "scales must be powers of two under this profile"});
  }
  return {1, 1 - exponent};
}

}  // namespace

double real_multiplier(float input_scale, float weight_scale, float output_scale,
                       MultiplierSpec::ScaleProduct precision) {
  switch (precision) {
    case MultiplierSpec::ScaleProduct::float64:
      break;
    case MultiplierSpec::ScaleProduct::float32: {
      const float product = input_scale * weight_scale;
      return static_cast<double>(product / output_scale);
    }
    case MultiplierSpec::ScaleProduct::float32_then_float64: {
      const float product = input_scale * weight_scale;
      return static_cast<double>(product) / static_cast<double>(output_scale);
    }
  }
  return static_cast<double>(input_scale) * static_cast<double>(weight_scale) /
         static_cast<double>(output_scale);
}

Multiplier derive_multiplier(double real, const MultiplierSpec& spec) {
  if (!std::isfinite(real) || real < 0) {
    throw Error(
        {ErrorCode::bad_value, "multiplier", fmt::format("{}", real), "a finite number >= 0", ""});
  }
  switch (spec.derivation) {
    case MultiplierSpec::Derivation::frexp_round:
      return from_frexp(real, spec, sim::Rounding::half_away_from_zero);
    case MultiplierSpec::Derivation::truncate:
      return from_frexp(real, spec, sim::Rounding::toward_zero);
    case MultiplierSpec::Derivation::float32_mantissa:
      return from_float32_mantissa(real);
    case MultiplierSpec::Derivation::power_of_two:
      return from_power_of_two(real);
  }
  FACSIM_CHECK(false);
  return {};
}

}  // namespace facsim::quant
