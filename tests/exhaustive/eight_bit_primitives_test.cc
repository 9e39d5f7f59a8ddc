// SPDX-License-Identifier: Apache-2.0
// The primitives over every value of the small types, against the oracles.
#include <doctest/doctest.h>

#include <cmath>

#include "sim/core/numeric.h"
#include "sim/overflow/all.h"
#include "sim/rounding/all.h"
#include "tests/oracle/overflow.h"
#include "tests/oracle/rounding.h"

namespace facsim::sim {
namespace {

/// What differs, counted: one CHECK for millions of cases.
struct Differences {
  int64_t cases = 0, different = 0;
  void operator()(int128 got, int128 expected) {
    ++cases;
    different += got == expected ? 0 : 1;
  }
};

TEST_CASE("exhaustive: floor division and its remainder, all int8 pairs and int16 dividends") {
  Differences all;
  for (int32_t d = 1; d <= 255; ++d) {
    for (int32_t v = INT16_MIN; v <= INT16_MAX; ++v) {
      const int32_t quotient = divide_floor(v, d), remainder = remainder_floor(v, d);
      all(quotient * d + remainder, v);
      all(remainder >= 0 && remainder < d, 1);
    }
  }
  CHECK(all.different == 0);
  CHECK(all.cases == 255 * 65536 * 2);
}

template <class Mode>
Differences rounded(int128 (*oracle)(oracle::Rational)) {
  Differences all;
  for (int32_t v = INT16_MIN; v <= INT16_MAX; ++v) {
    for (int32_t n = 0; n <= 17; ++n) {
      const int128 expected = oracle({v, int128{1} << n});
      all(rounding::shift_right<Mode>(v, n), expected);
      all(static_cast<int128>(rounding::real<Mode>(std::ldexp(double{1} * v, -n))), expected);
    }
  }
  for (int32_t d = 1; d <= 255; ++d) {
    for (int32_t v = -255; v <= 255; ++v) all(rounding::divide<Mode>(v, d), oracle({v, d}));
  }
  return all;
}

TEST_CASE(
    "exhaustive: every rounding mode, all 16-bit values by all shifts, 8-bit by all divisors") {
  Differences all;
  const auto add = [&](const Differences& mode) {
    all.cases += mode.cases;
    all.different += mode.different;
  };
#define FACSIM_ROUNDING(name) add(rounded<rounding::name>(oracle::name));
#include "sim/rounding/rounding.def"
#undef FACSIM_ROUNDING
  CHECK(all.different == 0);
  CHECK(all.cases == 11 * (65536 * 18 * 2 + 255 * 511));
}

TEST_CASE("exhaustive: every overflow policy, all 16-bit values into all types of 1..16 bits") {
  Differences all;
  const auto check = [&](Overflow policy, int128 (*oracle)(int128, int128, int128)) {
    for (int bits = 1; bits <= 16; ++bits) {
      for (const bool is_signed : {false, true}) {
        const IntType type{bits, is_signed};
        for (int32_t v = INT16_MIN; v <= INT16_MAX; ++v) {
          if (policy == Overflow::error && (v < type.min() || v > type.max())) continue;
          bool changed = false;
          all(bring_into(policy, v, type, changed), oracle(v, type.min(), type.max()));
        }
      }
    }
  };
#define FACSIM_OVERFLOW(name) check(Overflow::name, oracle::name);
#include "sim/overflow/overflow.def"
#undef FACSIM_OVERFLOW
  CHECK(all.different == 0);
  CHECK(all.cases == 4 * 32 * 65536 + 131070 + 98302);
}

}  // namespace
}  // namespace facsim::sim
