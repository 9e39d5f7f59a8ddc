// SPDX-License-Identifier: Apache-2.0
// Average pooling by a reciprocal (TOSA, Ethos-U) against the division (TFLite): enumerated, since
// every count has a multiplier of its own.
#include <doctest/doctest.h>

#include "quant/npu_scale.h"
#include "sim/rounding/all.h"

namespace facsim::proof {
namespace {

/// Sums of `taps` int8 codes whose average by one half_up shift of the product differs from the
/// division rounded half away.
int64_t differences(int64_t taps, const quant::Multiplier& reciprocal) {
  int64_t different = 0;
  for (int64_t sum = -128 * taps; sum <= 127 * taps; ++sum) {
    const int64_t by_reciprocal = sim::rounding::shift_right<sim::rounding::half_up>(
        sum * reciprocal.multiplier, int64_t{reciprocal.shift});
    const int64_t by_division =
        sim::rounding::divide<sim::rounding::half_away_from_zero>(sum, taps);
    different += by_reciprocal != by_division ? 1 : 0;
  }
  return different;
}

TEST_CASE("enumerated: TOSA's reciprocal average is the half-away division, windows of 1..400") {
  // Half up would differ at negative ties, which the multiplier's excess over 2^30 moves away.
  int64_t different = 0;
  for (int64_t taps = 1; taps <= 400; ++taps) {
    different += differences(taps, quant::tosa_reciprocal_scale(taps));
  }
  CHECK(different == 0);
}

TEST_CASE("enumerated: Vela's reciprocal average is the half-away division, windows of 1..512") {
  int64_t different = 0;
  for (int64_t taps = 1; taps <= 512; ++taps) {
    different += differences(taps, quant::vela_pooling_scale(taps));
  }
  CHECK(different == 0);
}

TEST_CASE("refuted: any multiplier near the reciprocal gives the half-away division") {
  for (const int64_t taps : {2, 28}) {
    quant::Multiplier reciprocal = quant::tosa_reciprocal_scale(taps);
    reciprocal.multiplier -= 1;
    CHECK(differences(taps, reciprocal) > 0);
  }
}

}  // namespace
}  // namespace facsim::proof
