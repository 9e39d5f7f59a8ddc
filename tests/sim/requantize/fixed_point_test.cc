// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/fixed_point.h"

#include <doctest/doctest.h>

#include <array>
#include <random>
#include <vector>

#include "sim/overflow/overflow.h"
#include "sim/rounding/rounding.h"
#include "tests/oracle/requantize.h"

namespace facsim::sim {
namespace {

/// TestFloat's idea for integers: every pattern against every pattern.
std::vector<int32_t> patterns() {
  std::vector<int32_t> values = {0, -1, INT32_MAX, INT32_MIN};
  for (int n = 0; n < 31; ++n) {
    for (int64_t d = -1; d <= 1; ++d) {
      values.push_back(static_cast<int32_t>((int64_t{1} << n) + d));
      values.push_back(static_cast<int32_t>(-(int64_t{1} << n) + d));
    }
  }
  std::mt19937 random(17);
  for (int i = 0; i < 60; ++i) values.push_back(static_cast<int32_t>(random()));
  return values;
}

/// The meaning, in the steps of a program.
int128 doubled_high(int128 a, int128 b) {
  bool changed = false;
  return bring_into(Overflow::saturate, round_shift(Rounding::half_up, a * b, 31), kInt32, changed);
}

TEST_CASE("fixed_point: the doubling high product is mul, shr 31 half_up, resize int32 saturate") {
  for (int32_t a : patterns()) {
    for (int32_t b : patterns()) {
      const int32_t got = fixed_point::saturating_rounding_doubling_high_mul(a, b);
      if (got != doubled_high(a, b)) FAIL("a " << a << " b " << b << ": got " << got);
      CHECK(got == oracle::saturating_rounding_doubling_high_mul(a, b));
      if (a != INT32_MIN || b != INT32_MIN) {
        CHECK(fixed_point::rounding_doubling_high_mul(a, b) == got);
      }
    }
  }
}

TEST_CASE("fixed_point: rounding_divide_by_pot is shr half_away_from_zero") {
  for (int32_t x : patterns()) {
    for (int n = 0; n <= 31; ++n) {
      const int32_t got = fixed_point::rounding_divide_by_pot(x, n);
      if (got != round_shift(Rounding::half_away_from_zero, x, n)) {
        FAIL("x " << x << " n " << n << ": got " << got);
      }
    }
  }
  for (int x = INT16_MIN; x <= INT16_MAX; ++x) {
    for (int n = 1; n <= 17; ++n) {
      const int128 expected = round_shift(Rounding::half_away_from_zero, x, n);
      if (fixed_point::rounding_divide_by_pot(x, n) != expected) FAIL("x " << x << " n " << n);
      const int32_t half = 1 << (n - 1);
      if (fixed_point::shift_nudged(x, n, half) != round_shift(Rounding::half_up, x, n) ||
          fixed_point::shift_nudged(x, n, 0) != round_shift(Rounding::floor, x, n) ||
          fixed_point::shift_half_even(x, n, half - 1, 1) !=
              round_shift(Rounding::half_even, x, n)) {
        FAIL("short, x " << x << " n " << n);
      }
    }
  }
}

TEST_CASE("fixed_point: the single-rounding product is mul, shr half_up, resize int32 wrap") {
  for (int32_t x : patterns()) {
    for (int32_t multiplier : patterns()) {
      for (int n : {1, 2, 7, 15, 30, 31, 32, 33, 40, 61, 62}) {
        bool changed = false;
        const int128 expected = bring_into(
            Overflow::wrap, round_shift(Rounding::half_up, static_cast<int128>(x) * multiplier, n),
            kInt32, changed);
        const int32_t got =
            fixed_point::multiply_by_quantized_multiplier_single(x, multiplier, n - 1);
        if (got != expected) FAIL("x " << x << " multiplier " << multiplier << " n " << n);
        if (n < 32) continue;
        const int64_t product = int64_t{x} * multiplier, half = int64_t{1} << (n - 1);
        CHECK(fixed_point::shift_high_product(product, half, n - 32) == got);
      }
    }
  }
}

TEST_CASE("fixed_point: the double-rounding product is TFLite's") {
  for (int32_t x : patterns()) {
    for (int32_t multiplier : patterns()) {
      for (const auto& [left, right] :
           std::array<std::pair<int, int>, 6>{{{0, 0}, {0, 1}, {0, 8}, {0, 31}, {1, 0}, {31, 3}}}) {
        CHECK(fixed_point::multiply_by_quantized_multiplier_double(x, multiplier, left, right) ==
              oracle::tflite_double(x, multiplier, left, right));
      }
    }
  }
}

TEST_CASE(
    "fixed_point: from the high half of the product, the double-rounding product is TFLite's") {
  constexpr int32_t kMost = 1 << 30;
  int compared = 0;
  for (int32_t x : patterns()) {
    for (int32_t multiplier : patterns()) {
      if (x < -kMost || x >= kMost || multiplier < 0) continue;
      for (int n : {1, 2, 8, 30, 31}) {
        const int64_t half = int64_t{1} << (n - 1);
        const int64_t twice = 2 * int64_t{x} * multiplier;
        const int64_t nudge = (half << 32) + (int64_t{1} << 31);
        CHECK(fixed_point::divide_doubling_high_product(twice, nudge, x, n) ==
              oracle::tflite_double(x, multiplier, 0, n));
        ++compared;
      }
    }
  }
  CHECK(compared > 1000);
}

}  // namespace
}  // namespace facsim::sim
