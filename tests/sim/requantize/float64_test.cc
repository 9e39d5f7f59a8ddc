// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/float64.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

namespace facsim::sim {
namespace {

TEST_CASE("to_float64: ties go to even, rounded once") {
  const int128 first_gap = int128{1} << 53;
  CHECK(to_float64(first_gap) == 0x1p53);
  CHECK(to_float64(first_gap + 1) == 0x1p53);      // tie, even below
  CHECK(to_float64(first_gap + 3) == 0x1p53 + 4);  // tie, even above
  CHECK(to_float64(-first_gap - 1) == -0x1p53);
  CHECK(to_float64((int128{1} << 54) - 1) == 0x1p54);  // up into the next power of two
  CHECK(to_float64(INT64_MAX) == 0x1p63);
  CHECK(to_float64(INT64_MIN) == -0x1p63);
  CHECK(to_float64((int128{1} << 126) + 1) == 0x1p126);
  CHECK_FALSE(std::signbit(to_float64(0)));
}

TEST_CASE("to_float64: equals the hardware conversion for int64") {
  std::mt19937_64 random(5);
  for (int i = 0; i < 200000; ++i) {
    const auto v = static_cast<int64_t>(random()) >> (random() % 63);
    if (to_float64(v) != static_cast<double>(v)) FAIL("v " << v);
  }
}

TEST_CASE("clamp_float64: bounds and NaN") {
  CHECK(clamp_float64(5, -1, 3) == 3);
  CHECK(clamp_float64(-5, -1, 3) == -1);
  CHECK(clamp_float64(2.5, -1, 3) == 2.5);
  CHECK(clamp_float64(std::numeric_limits<double>::infinity(), -1, 3) == 3);
  CHECK(clamp_float64(std::nan(""), -1, 3) == -1);  // a NaN becomes the lower bound
  // Of two zeros the bound's sign.
  CHECK_FALSE(std::signbit(clamp_float64(-0.0, -1.0, 0.0)));
  CHECK_FALSE(std::signbit(clamp_float64(-0.0, 0.0, 1.0)));
}

}  // namespace
}  // namespace facsim::sim
