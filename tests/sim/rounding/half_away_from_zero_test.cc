// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/half_away_from_zero.h"

#include "tests/sim/rounding/rounding_tester.h"

namespace facsim::sim {
namespace {

const RoundingTester<rounding::half_away_from_zero> half_away_from_zero_tester(
    Rounding::half_away_from_zero, oracle::half_away_from_zero);

TEST_CASE("half_away_from_zero: ties and extremes") {
  half_away_from_zero_tester.table({
      {-5, -3, "-2.5: ties go away from zero"},
      {-3, -2, "-1.5: ties go away from zero"},
      {-1, -1, "-0.5: ties go away from zero"},
      {1, 1, "0.5: ties go away from zero"},
      {3, 2, "1.5: ties go away from zero"},
      {5, 3, "2.5: ties go away from zero"},
      {0, 0, "zero stays"},
      {-8, -4, "integers stay"},
      {24690, 12345, "integers stay"},
      {INT32_MAX, 1073741824, "the largest int32 is odd: 2^30 - 1/2"},
      {-INT32_MAX, -1073741824, "-(2^30 - 1/2)"},
      {INT32_MIN, -1073741824, "the smallest int32"},
  });
}

FACSIM_ROUNDING_TESTS(half_away_from_zero);

}  // namespace
}  // namespace facsim::sim
