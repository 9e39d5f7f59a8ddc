// SPDX-License-Identifier: Apache-2.0
#include "quant/npu_scale.h"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/core/error.h"

namespace facsim::quant {
namespace {

TEST_CASE("npu_scale: Vela's multiplier is not renormalised and loses far shifts") {
  CHECK(vela_scale(0.5).multiplier == int64_t{1} << 30);
  CHECK(vela_scale(0.5).shift == 31);
  CHECK(vela_scale(1).multiplier == int64_t{1} << 30);
  CHECK(vela_scale(1).shift == 30);
  // The fraction rounds up to 1: TFLite would halve it and count the shift down.
  const double below_one = std::nextafter(1.0, 0.0);
  CHECK(vela_scale(below_one).multiplier == int64_t{1} << 31);
  CHECK(vela_scale(below_one).shift == 31);
  CHECK(derive_multiplier(below_one, {}).multiplier == int64_t{1} << 30);
  // 2^-33 is 0.5 * 2^-32, shift 63: the last that fits.
  CHECK(vela_scale(std::ldexp(1.0, -33)).shift == 63);
  CHECK(vela_scale(std::ldexp(1.0, -34)).multiplier == 0);
  CHECK(vela_scale(std::ldexp(1.0, -34)).shift == 16);
  CHECK(vela_scale(std::ldexp(1.0, 30)).shift == 0);
  CHECK(vela_scale(std::ldexp(1.0, 31)).multiplier == 0);
  CHECK_THROWS_AS(vela_scale(-1), Error);
  CHECK_THROWS_AS(vela_scale(INFINITY), Error);
}

TEST_CASE("npu_scale: Vela's 16-bit multiplier rounds half up and stays positive") {
  CHECK(vela_reduced_scale(0.75).multiplier == 24576);
  CHECK(vela_reduced_scale(0.75).shift == 15);
  CHECK(vela_reduced_scale(std::nextafter(1.0, 0.0)).multiplier == 32767);
  CHECK(vela_reduced_scale(0).multiplier == 0);
}

TEST_CASE("npu_scale: TFLite's single-rounding build has no exponent above 30") {
  CHECK(tflite_single_rounding_scale(0.5).shift == 31);
  CHECK(tflite_single_rounding_scale(std::ldexp(1.0, 29)).shift == 1);
  CHECK(tflite_single_rounding_scale(std::ldexp(1.0, 29)).multiplier == 1 << 30);
  CHECK(tflite_single_rounding_scale(std::ldexp(1.0, 30)).multiplier == INT32_MAX);
  CHECK(tflite_single_rounding_scale(std::ldexp(1.0, 30)).shift == 1);
}

TEST_CASE("npu_scale: reciprocals of tap counts") {
  CHECK(vela_pooling_scale(1).multiplier == (int64_t{1} << 31) + 1);
  CHECK(vela_pooling_scale(1).shift == 31);
  CHECK(vela_pooling_scale(9).shift == 35);
  CHECK(vela_pooling_scale(9).multiplier == ((int64_t{1} << 35) + 16) / 9);
  CHECK(tosa_reciprocal_scale(1).multiplier == (1 << 30) + 1);
  CHECK(tosa_reciprocal_scale(1).shift == 30);
  CHECK(tosa_reciprocal_scale(9).shift == 34);
  CHECK_THROWS_AS(vela_pooling_scale(0), Error);
  CHECK_THROWS_AS(vela_pooling_scale(9, 32), Error);
  CHECK_THROWS_AS(tosa_reciprocal_scale(-1), Error);
}

TEST_CASE("npu_scale: pitfall 11, both reciprocals with half_up are a division rounded half away") {
  for (int64_t taps = 1; taps <= 512; ++taps) {
    for (const Multiplier m : {vela_pooling_scale(taps), tosa_reciprocal_scale(taps)}) {
      for (int64_t sum = -128 * taps; sum <= 127 * taps; sum += 1 + taps / 16) {
        const auto got = sim::round_shift(sim::Rounding::half_up,
                                          static_cast<sim::int128>(sum) * m.multiplier, m.shift);
        const auto expected = sim::round_divide(sim::Rounding::half_away_from_zero, sum, taps);
        REQUIRE(got == expected);
      }
    }
  }
}

}  // namespace
}  // namespace facsim::quant
