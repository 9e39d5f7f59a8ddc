// SPDX-License-Identifier: Apache-2.0
#include "quant/multiplier.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "sim/core/error.h"

namespace facsim::quant {
namespace {

using Derivation = MultiplierSpec::Derivation;
using ScaleProduct = MultiplierSpec::ScaleProduct;

TEST_CASE("multiplier: frexp_round is TFLite's QuantizeMultiplier") {
  struct Case {
    double real;
    int bits;
    int64_t multiplier;
    int shift;
    const char* reason;
  };
  const int64_t q30 = int64_t{1} << 30;
  for (const Case& c : {
           Case{0.5, 32, q30, 31, "exact"},
           Case{1.0, 32, q30, 30, "a left shift in TFLite's counting"},
           Case{1e9, 32, 2000000000, 1, "large"},
           Case{0.75, 32, 3 * (q30 / 2), 31, "exact"},
           Case{1.0 - std::ldexp(1.0, -40), 32, q30, 30, "2^31 is renormalised"},
           Case{std::ldexp(1.0, -32), 32, q30, 62, "exponent -31 still counts"},
           Case{std::ldexp(1.0, -33), 32, 0, 31, "exponent -32 becomes 0"},
           Case{0.0, 32, 0, 31, "zero"},
           Case{0.5 + std::ldexp(1.0, -32), 32, q30 + 1, 31, "half away from zero"},
           Case{0.004, 16, 16777, 22, "16 bits"},
           Case{0.99999, 16, 16384, 14, "renormalised in 16 bits"},
       }) {
    CAPTURE(c.reason);
    MultiplierSpec spec;
    spec.bits = c.bits;
    const Multiplier m = derive_multiplier(c.real, spec);
    CHECK(m.multiplier == c.multiplier);
    CHECK(m.shift == c.shift);
  }
}

TEST_CASE("multiplier: the precision of the scale product reaches the multiplier") {
  const float input = 0.008867641910910606f;
  const float weight = 0.0011110034538432956f;
  const float output = 0.16957353055477142f;
  const MultiplierSpec spec;
  const auto derived = [&](ScaleProduct precision) {
    return derive_multiplier(real_multiplier(input, weight, output, precision), spec).multiplier;
  };
  CHECK(derived(ScaleProduct::float64) == 2044161944);
  CHECK(derived(ScaleProduct::float32_then_float64) == 2044161862);
  // The float32 quotient has 24 bits: the low 7 of 31 are zero.
  CHECK(derived(ScaleProduct::float32) % 128 == 0);
}

TEST_CASE("multiplier: the other derivations") {
  MultiplierSpec spec;
  spec.derivation = Derivation::truncate;
  CHECK(derive_multiplier(0.5 + std::ldexp(1.0, -32), spec).multiplier == int64_t{1} << 30);
  CHECK(derive_multiplier(1.0 - std::ldexp(1.0, -40), spec).multiplier ==
        std::numeric_limits<int32_t>::max());

  spec.derivation = Derivation::float32_mantissa;
  const Multiplier mantissa = derive_multiplier(0.0028466506236195194, spec);
  CHECK(mantissa.multiplier >= 1 << 23);
  CHECK(mantissa.multiplier < 1 << 24);
  CHECK(std::ldexp(static_cast<double>(mantissa.multiplier), -mantissa.shift) ==
        static_cast<double>(0.0028466506236195194f));
  CHECK_THROWS_AS(derive_multiplier(0.0, spec), Error);
  CHECK_THROWS_AS(derive_multiplier(1e-42, spec), Error);  // subnormal float32

  spec.derivation = Derivation::power_of_two;
  CHECK(derive_multiplier(0x1p-10, spec).multiplier == 1);
  CHECK(derive_multiplier(0x1p-10, spec).shift == 10);
  CHECK(derive_multiplier(4.0, spec).shift == -2);
  CHECK_THROWS_AS(derive_multiplier(0.3, spec), Error);
}

TEST_CASE("multiplier: what is not a multiplier is refused") {
  for (const double real : {-0.5, std::nan(""), std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_AS(derive_multiplier(real, {}), Error);
  }
}

TEST_CASE("multiplier: the nearest of all shifts, fewest bits first") {
  struct Case {
    double real;
    int bits;
    int64_t multiplier;
    int shift;
    const char* reason;
  };
  for (const Case& c : {
           Case{0.5, 8, 1, 1, "exact: the smallest shift (frexp_round: 64, shift 7)"},
           Case{0.3, 8, 77, 8, "77 / 256 = 0.30078; 154 / 512 does not fit"},
           Case{3.0, 8, 3, 0, "an integer"},
           Case{100.4, 8, 100, 0, "no fraction fits"},
           Case{254.0, 8, 127, -1, "above the largest multiplier"},
           Case{0.999, 8, 1, 0, "64 / 64 is as near"},
           Case{0.0, 8, 0, 0, "zero"},
       }) {
    CAPTURE(c.reason);
    MultiplierSpec spec;
    spec.bits = c.bits;
    spec.derivation = Derivation::search_min_error;
    const Multiplier m = derive_multiplier(c.real, spec);
    CHECK(m.multiplier == c.multiplier);
    CHECK(m.shift == c.shift);
  }
  MultiplierSpec spec;
  spec.bits = 2;
  spec.derivation = Derivation::search_min_error;
  CHECK_THROWS_AS(derive_multiplier(std::ldexp(1.0, 33), spec), Error);
}

TEST_CASE("multiplier: fraction bits, a constant shift, reduction") {
  MultiplierSpec spec;
  spec.bits = 16;
  spec.fraction_bits = 12;
  CHECK(derive_multiplier(0.3, spec).multiplier == 2458);  // 0.6 * 4096
  CHECK(derive_multiplier(0.3, spec).shift == 13);
  spec.derivation = Derivation::fixed_fraction;
  CHECK(derive_multiplier(0.3, spec).multiplier == 1229);
  CHECK(derive_multiplier(0.3, spec).shift == 12);
  CHECK(derive_multiplier(7.9, spec).multiplier == 32358);
  CHECK_THROWS_AS(derive_multiplier(8.0, spec), Error);

  MultiplierSpec reduced;
  reduced.reduce_to_bits = 16;
  const Multiplier half = derive_multiplier(0.5, reduced);
  CHECK(half.multiplier == 16384);
  CHECK(half.shift == 15);
  const Multiplier given = reduce_multiplier({1134312299, 45}, reduced);
  CHECK(given.multiplier == 17308);  // 17308.23
  CHECK(given.shift == 29);
  CHECK(reduce_multiplier({0x7FFFFFFF, 31}, reduced).multiplier == 0x7FFF);  // not 0x8000
  CHECK(reduce_multiplier({0x7FFE8000, 31}, reduced).multiplier == 0x7FFF);  // a tie goes up
}

TEST_CASE("multiplier: a quotient and a product with the reciprocal") {
  MultiplierSpec spec;
  spec.scale_product = ScaleProduct::float32;
  CHECK(real_multiplier(0.273939937F, 1.0F, 0.00214854861F, spec) < 127.5);
  spec.formula = MultiplierSpec::Formula::reciprocal;
  CHECK(real_multiplier(0.273939937F, 1.0F, 0.00214854861F, spec) == 127.5);
}

}  // namespace
}  // namespace facsim::quant
