// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <bit>
#include <cfenv>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <random>
#include <string>
#include <vector>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "sim/rounding/all.h"
#include "tests/oracle/rounding.h"

namespace facsim::sim {

/// One row of a mode's table: `twice` halves are rounded to `expected`.
struct HalvesCase {
  int twice;
  int expected;
  const char* reason;
};

/// Values whose bit patterns break careless code: around 0, around powers of two, the ends.
inline std::vector<int128> boundary_patterns(int width) {
  std::vector<int128> values;
  const int128 max = static_cast<int128>((uint128{1} << (width - 1)) - 1);
  for (int n = 0; n < width - 1; ++n) {
    const int128 power = int128{1} << n;
    for (int d = -2; d <= 2; ++d) {
      for (int128 v : {power + d, -power + d, max - power + 1, -max + power - 1 - d}) {
        if (v >= -max - 1 && v <= max) values.push_back(v);
      }
    }
    values.push_back(static_cast<int128>(static_cast<uint128>(max) / 3 * 2) >> n);
    values.push_back(-(static_cast<int128>(static_cast<uint128>(max) / 5 * 3) >> n));
  }
  values.push_back(max);
  values.push_back(-max - 1);
  return values;
}

inline void same(int128 got, int128 expected, int128 v, int128 d, const char* what) {
  if (got == expected) return;
  FAIL(std::string(what) << " of " << static_cast<double>(v) << " by " << static_cast<double>(d)
                         << ": expected " << static_cast<double>(expected) << ", got "
                         << static_cast<double>(got));
}

/// Everything a mode must satisfy, against the oracle of its name.
template <class Mode>
class RoundingTester {
 public:
  using Oracle = int128 (*)(oracle::Rational);

  RoundingTester(Rounding mode, Oracle oracle) : mode_(mode), oracle_(oracle) {}

  /// The table, through the shift, the division and the float rule.
  void table(std::initializer_list<HalvesCase> cases) const {
    for (const HalvesCase& c : cases) {
      CAPTURE(c.twice);
      INFO(std::string(c.reason));
      CHECK(rounding::shift_right<Mode>(c.twice, 1) == c.expected);
      CHECK(rounding::divide<Mode>(c.twice, 2) == c.expected);
      CHECK(round_real(mode_, c.twice / 2.0) == c.expected);
      CHECK(round_shift(mode_, c.twice, 1) == c.expected);
      CHECK(round_divide(mode_, c.twice, 2) == c.expected);
      if (c.twice % (1 << 24) != c.twice) continue;  // float32 would round it
      CHECK(round_real(mode_, static_cast<float>(c.twice) / 2) == static_cast<float>(c.expected));
      CHECK(rounding::to_integer<Mode, int64_t>(static_cast<float>(c.twice) / 2) == c.expected);
    }
  }

  void int16_by_every_shift() const {
    for (int n = 0; n <= 16; ++n) {
      for (int v = INT16_MIN; v <= INT16_MAX; ++v) {
        const int128 expected = oracle_({v, int128{1} << n});
        same(rounding::shift_right<Mode>(v, n), expected, v, n, "shift");
      }
    }
  }

  void int32_to_int128_boundaries() const {
    for (int128 v : boundary_patterns(32)) {
      for (int n = 0; n <= 31; ++n) {
        const int128 expected = oracle_({v, int128{1} << n});
        same(rounding::shift_right<Mode>(static_cast<int32_t>(v), n), expected, v, n,
             "int32 shift");
      }
    }
    for (int128 v : boundary_patterns(64)) {
      for (int64_t n = 0; n <= 62; n += 1 + n / 3) {
        const int128 expected = oracle_({v, int128{1} << n});
        same(rounding::shift_right<Mode>(static_cast<int64_t>(v), n), expected, v, n,
             "int64 shift");
      }
    }
    // The oracle's products stay inside 128 bits below 2^125.
    for (int128 v : boundary_patterns(126)) {
      for (int n = 0; n <= 124; n += 1 + n / 3) {
        same(round_shift(mode_, v, n), oracle_({v, int128{1} << n}), v, n, "int128 shift");
      }
    }
    const int128 max = static_cast<int128>(~uint128{0} >> 1);
    same(round_shift(mode_, max, 126), oracle_({int128{127}, 64}), max, 126, "largest shift");
    same(round_shift(mode_, -max, 126), oracle_({int128{-127}, 64}), -max, 126, "largest shift");
  }

  void division() const {
    for (int d = 1; d <= 70; ++d) {
      for (int v = -700; v <= 700; ++v) {
        same(rounding::divide<Mode>(v, d), oracle_({v, d}), v, d, "division");
      }
    }
    for (int128 v : boundary_patterns(64)) {
      for (int128 d : boundary_patterns(62)) {
        if (d <= 0 || d % 7 > 1) continue;
        same(rounding::divide<Mode>(static_cast<int64_t>(v), static_cast<int64_t>(d)),
             oracle_({v, d}), v, d, "int64 division");
      }
    }
  }

  void reals() const {
    std::mt19937_64 random(kSeed);
    const auto check = [&](double v) {
      int exponent = 0;
      const double mantissa = std::frexp(v, &exponent);  // v = mantissa * 2^exponent, exactly
      const auto whole = static_cast<int64_t>(std::ldexp(mantissa, 53));
      const int fraction_bits = 53 - exponent;
      if (fraction_bits <= 0) {
        CHECK(round_real(mode_, v) == v);
        return;
      }
      // Beyond 70 bits only the sign and that it is not 0 matter.
      const int bits = fraction_bits < 70 ? fraction_bits : 70;
      const auto expected = static_cast<double>(oracle_({whole, int128{1} << bits}));
      if (round_real(mode_, v) != expected) {
        FAIL("real " << v << ": expected " << expected << ", got " << round_real(mode_, v));
      }
      CHECK(std::signbit(round_real(mode_, v)) == (expected == 0 ? std::signbit(v) : expected < 0));
      const auto single = static_cast<float>(v);
      if (static_cast<double>(single) == v && std::fabs(v) < 9e18) {
        CHECK(round_real(mode_, single) == static_cast<float>(expected));
        CHECK(rounding::to_integer<Mode, int64_t>(single) == static_cast<int64_t>(expected));
      }
    };
    for (int i = -4000; i <= 4000; ++i) {
      for (double v : {i / 8.0, i / 8.0 + 0x1p-30, i / 8.0 - 0x1p-42, i * 0x1p-70}) check(v);
    }
    for (double v :
         {std::nextafter(0.5, 0), std::nextafter(0.5, 1), 0x1p-1074, -0x1p-1074, 0x1p-1022,
          0x1p-149, 0x1p-126, 4503599627370495.5, -4503599627370495.5, 8388607.5, 1e300}) {
      check(v);
      check(-v);
    }
    for (int i = 0; i < 20000; ++i) {
      const auto bits = static_cast<double>(static_cast<int64_t>(random()));
      check(std::ldexp(bits, -static_cast<int>(random() % 80)));
      check(static_cast<float>(std::ldexp(bits, -40 - static_cast<int>(random() % 30))));
    }
    const double infinity = std::numeric_limits<double>::infinity();
    CHECK(round_real(mode_, infinity) == infinity);
    CHECK(round_real(mode_, -infinity) == -infinity);
    CHECK(std::isnan(round_real(mode_, std::nan(""))));
    CHECK(std::isnan(round_real(mode_, std::nanf(""))));
    CHECK(std::signbit(round_real(mode_, -0.0)));
    CHECK(round_real(mode_, -0.0) == 0);
    CHECK(round_real(mode_, 0.0F) == 0);
    CHECK(std::signbit(round_real(mode_, -0.0F)));
    CHECK(round_real(mode_, std::numeric_limits<float>::denorm_min()) ==
          static_cast<float>(oracle_({1, 1000})));
  }

  void any_float_environment() const {
    for (int environment : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST}) {
      std::fesetround(environment);
      double got[2];
      float got_single[2];
      for (int i = 0; i < 2; ++i) {
        volatile double v = i == 0 ? -2.5 : 0.3;
        volatile float single = i == 0 ? -2.5F : 0.3F;
        got[i] = round_real(mode_, v);
        got_single[i] = round_real(mode_, single);
      }
      std::fesetround(FE_TONEAREST);
      CHECK(got[0] == static_cast<double>(oracle_({-5, 2})));
      CHECK(got[1] == static_cast<double>(oracle_({3, 10})));
      CHECK(got_single[0] == static_cast<float>(oracle_({-5, 2})));
      CHECK(got_single[1] == static_cast<float>(oracle_({3, 10})));
    }
#ifdef __SSE2__
    // Flush to zero, denormals are zero: what a subnormal rounds to must not change.
    const unsigned mode = _mm_getcsr();
    const volatile float tiny = std::numeric_limits<float>::denorm_min();
    const volatile double tiny64 = std::numeric_limits<double>::denorm_min();
    _mm_setcsr(mode | 0x8040);
    const float got = round_real(mode_, tiny);
    const double got64 = round_real(mode_, tiny64);
    _mm_setcsr(mode);
    CHECK(got == static_cast<float>(oracle_({1, 1000})));
    CHECK(got64 == static_cast<double>(oracle_({1, 1000})));
#endif
  }

 private:
  static constexpr uint64_t kSeed = 11;
  Rounding mode_;
  Oracle oracle_;
};

}  // namespace facsim::sim

/// The test cases every mode has beside its own table; its tester is called <mode>_tester.
#define FACSIM_ROUNDING_TESTS(mode)                                                        \
  TEST_CASE(#mode ": equals the oracle for every int16 and shift") {                       \
    mode##_tester.int16_by_every_shift();                                                  \
  }                                                                                        \
  TEST_CASE(#mode ": equals the oracle at 32, 64 and 128-bit boundaries") {                \
    mode##_tester.int32_to_int128_boundaries();                                            \
  }                                                                                        \
  TEST_CASE(#mode ": divides as the oracle") { mode##_tester.division(); }                 \
  TEST_CASE(#mode ": rounds float32 and float64 as the oracle") { mode##_tester.reals(); } \
  TEST_CASE(#mode ": ignores the floating-point environment") {                            \
    mode##_tester.any_float_environment();                                                 \
  }                                                                                        \
  static_assert(facsim::sim::rounding::shift_right<facsim::sim::rounding::mode>(8, 2) == 2)
