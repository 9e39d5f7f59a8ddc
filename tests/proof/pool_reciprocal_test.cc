// SPDX-License-Identifier: Apache-2.0
// Average pooling by a reciprocal (TOSA, Ethos-U) against the division (TFLite): enumerated, since
// every count has a multiplier of its own.
#include <doctest/doctest.h>

#include <bit>

#include "sim/requantize/fixed_point.h"
#include "sim/rounding/all.h"

namespace facsim::proof {
namespace {

struct Reciprocal {
  int32_t multiplier;
  int32_t shift;
};

/// TOSA 1.0 reciprocal_scale: multiplier = (2^30 + 1) 2^k / count with 2^(k-1) < count <= 2^k.
Reciprocal reciprocal_scale(uint32_t count) {
  const int k = 32 - std::countl_zero(count - 1);
  return {static_cast<int32_t>((((int64_t{1} << 30) + 1) << k) / count), 30 + k};
}

/// Sums of `count` int8 codes whose average differs between the two.
int64_t differences(uint32_t count, bool multiplier_one_less) {
  Reciprocal r = reciprocal_scale(count);
  r.multiplier -= multiplier_one_less ? 1 : 0;
  const auto n = static_cast<int64_t>(count);
  int64_t different = 0;
  for (int64_t sum = -128 * n; sum <= 127 * n; ++sum) {
    const int32_t by_reciprocal = sim::fixed_point::multiply_by_quantized_multiplier_single(
        static_cast<int32_t>(sum), r.multiplier, r.shift - 1);
    const int64_t by_division = sim::rounding::divide<sim::rounding::half_away_from_zero>(sum, n);
    different += by_reciprocal != by_division ? 1 : 0;
  }
  return different;
}

TEST_CASE("enumerated: TOSA's reciprocal average is the half-away division, windows of 1..400") {
  // Half up would differ at negative ties, which the multiplier's excess over 2^30 moves away.
  int64_t different = 0;
  for (uint32_t count = 1; count <= 400; ++count) different += differences(count, false);
  CHECK(different == 0);
  CHECK(sim::fixed_point::multiply_by_quantized_multiplier_single(
            -5, reciprocal_scale(2).multiplier, reciprocal_scale(2).shift - 1) == -3);
}

TEST_CASE("refuted: any multiplier near the reciprocal gives the half-away division") {
  CHECK(differences(2, true) > 0);
  CHECK(differences(28, true) > 0);
}

}  // namespace
}  // namespace facsim::proof
