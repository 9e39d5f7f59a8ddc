// SPDX-License-Identifier: Apache-2.0
#include "sim/requantize/float32.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

namespace facsim::sim {
namespace {

TEST_CASE("to_float32: ties go to even, rounded once") {
  CHECK(to_float32(16777216) == 16777216.0F);
  CHECK(to_float32(16777217) == 16777216.0F);  // tie, even below
  CHECK(to_float32(16777219) == 16777220.0F);  // tie, even above
  CHECK(to_float32(-16777217) == -16777216.0F);
  CHECK(to_float32(33554431) == 33554432.0F);  // rounds up into the next power of two
  CHECK(to_float32(INT64_MAX) == 0x1p63F);
  CHECK(to_float32(INT64_MIN) == -0x1p63F);
  // Through float64 this would become a tie first and then go the other way.
  const int128 just_above_tie = (int128{1} << 60) + (int128{1} << 36) + 1;
  CHECK(to_float32(just_above_tie) == std::nextafter(0x1p60F, 0x1p61F));
  CHECK(to_float32((int128{1} << 60) + (int128{1} << 36)) == 0x1p60F);
  CHECK(to_float32(int128{1} << 126) == 0x1p126F);
  CHECK(to_float32((int128{1} << 126) + 1) == 0x1p126F);
  CHECK_FALSE(std::signbit(to_float32(0)));
}

TEST_CASE("to_float32: equals the hardware conversion for int64") {
  std::mt19937_64 random(5);
  for (int i = 0; i < 200000; ++i) {
    const auto v = static_cast<int64_t>(random()) >> (random() % 63);
    if (to_float32(v) != static_cast<float>(v)) FAIL("v " << v);
  }
}

TEST_CASE("clamp_float32: bounds and NaN") {
  CHECK(clamp_float32(5, -1, 3) == 3);
  CHECK(clamp_float32(-5, -1, 3) == -1);
  CHECK(clamp_float32(2.5F, -1, 3) == 2.5F);
  CHECK(clamp_float32(std::numeric_limits<float>::infinity(), -1, 3) == 3);
  CHECK(clamp_float32(-std::numeric_limits<float>::infinity(), -1, 3) == -1);
  CHECK(clamp_float32(std::nanf(""), -1, 3) == -1);  // a NaN becomes the lower bound
  // Of two zeros the bound's sign.
  CHECK_FALSE(std::signbit(clamp_float32(-0.0F, -1.0F, 0.0F)));
  CHECK_FALSE(std::signbit(clamp_float32(-0.0F, 0.0F, 1.0F)));
}

}  // namespace
}  // namespace facsim::sim
