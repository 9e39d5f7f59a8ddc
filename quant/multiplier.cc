// SPDX-License-Identifier: Apache-2.0
#include "quant/multiplier.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/core/check.h"
#include "sim/core/error.h"

namespace facsim::quant {

namespace {

int fraction_bits_of(const MultiplierSpec& spec) {
  FACSIM_CHECK(spec.bits >= 2 && spec.bits <= 32 && spec.fraction_bits < spec.bits);
  return spec.fraction_bits > 0 ? spec.fraction_bits : spec.bits - 1;
}

/// real = fraction * 2^exponent, the fraction (0.5 <= fraction < 1) held in fraction_bits bits.
Multiplier from_frexp(double real, const MultiplierSpec& spec, sim::Rounding rounding) {
  const int fraction_bits = fraction_bits_of(spec);
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

[[noreturn]] void refuse_large(double real, const MultiplierSpec& spec) {
  throw Error({ErrorCode::unsupported, "multiplier", fmt::format("{}", real),
               fmt::format("a real multiplier that {} bits hold", spec.bits),
               "the scales of input, weights and output are too far apart"});
}

/// real * 2^shift is exact in float64, and so is the difference of two nearby numbers.
Multiplier from_search(double real, const MultiplierSpec& spec) {
  const auto largest = static_cast<double>((int64_t{1} << (spec.bits - 1)) - 1);
  const int fewest = real > largest ? -31 : 0;
  Multiplier best;
  double best_error = -1;
  for (int shift = fewest; shift <= 62; ++shift) {
    const double multiplier =
        sim::round_real(sim::Rounding::half_away_from_zero, std::ldexp(real, shift));
    if (multiplier > largest) break;
    const double error = std::abs(std::ldexp(multiplier, -shift) - real);
    if (best_error >= 0 && error >= best_error) continue;
    best = {static_cast<int64_t>(multiplier), shift};
    best_error = error;
  }
  if (best_error < 0) refuse_large(real, spec);
  return best;
}

Multiplier from_fixed_fraction(double real, const MultiplierSpec& spec) {
  const int fraction_bits = fraction_bits_of(spec);
  const double multiplier =
      sim::round_real(sim::Rounding::half_away_from_zero, std::ldexp(real, fraction_bits));
  if (multiplier > static_cast<double>((int64_t{1} << (spec.bits - 1)) - 1)) {
    refuse_large(real, spec);
  }
  return {static_cast<int64_t>(multiplier), fraction_bits};
}

Multiplier derive_unreduced(double real, const MultiplierSpec& spec) {
  switch (spec.derivation) {
    case MultiplierSpec::Derivation::frexp_round:
      return from_frexp(real, spec, sim::Rounding::half_away_from_zero);
    case MultiplierSpec::Derivation::truncate:
      return from_frexp(real, spec, sim::Rounding::toward_zero);
    case MultiplierSpec::Derivation::float32_mantissa:
      return from_float32_mantissa(real);
    case MultiplierSpec::Derivation::power_of_two:
      return from_power_of_two(real);
    case MultiplierSpec::Derivation::search_min_error:
      return from_search(real, spec);
    case MultiplierSpec::Derivation::fixed_fraction:
      return from_fixed_fraction(real, spec);
  }
  FACSIM_CHECK(false);
  return {};
}

template <class Real, class Divided>
double product_over(Real product, Divided output_scale, MultiplierSpec::Formula formula) {
  if (formula == MultiplierSpec::Formula::division) {
    return static_cast<double>(product / output_scale);
  }
  const Divided reciprocal = Divided{1} / output_scale;
  return static_cast<double>(product * reciprocal);
}

}  // namespace

double real_multiplier(float input_scale, float weight_scale, float output_scale,
                       const MultiplierSpec& spec) {
  switch (spec.scale_product) {
    case MultiplierSpec::ScaleProduct::float64:
      break;
    case MultiplierSpec::ScaleProduct::float32: {
      const float product = input_scale * weight_scale;
      return product_over(product, output_scale, spec.formula);
    }
    case MultiplierSpec::ScaleProduct::float32_then_float64: {
      const float product = input_scale * weight_scale;
      return product_over(static_cast<double>(product), static_cast<double>(output_scale),
                          spec.formula);
    }
  }
  return product_over(static_cast<double>(input_scale) * static_cast<double>(weight_scale),
                      static_cast<double>(output_scale), spec.formula);
}

double real_multiplier(float input_scale, float weight_scale, float output_scale,
                       MultiplierSpec::ScaleProduct precision) {
  MultiplierSpec spec;
  spec.scale_product = precision;
  return real_multiplier(input_scale, weight_scale, output_scale, spec);
}

Multiplier derive_multiplier(double real, const MultiplierSpec& spec) {
  if (!std::isfinite(real) || real < 0) {
    throw Error(
        {ErrorCode::bad_value, "multiplier", fmt::format("{}", real), "a finite number >= 0", ""});
  }
  return reduce_multiplier(derive_unreduced(real, spec), spec);
}

Multiplier reduce_multiplier(Multiplier derived, const MultiplierSpec& spec) {
  if (spec.reduce_to_bits == 0 || spec.reduce_to_bits >= spec.bits) return derived;
  const int dropped = spec.bits - spec.reduce_to_bits;
  const int64_t rounded = sim::round_shift(sim::Rounding::half_up, derived.multiplier, dropped);
  const int64_t largest = (int64_t{1} << (spec.reduce_to_bits - 1)) - 1;
  return {std::min(rounded, largest), derived.shift - dropped};
}

}  // namespace facsim::quant
