// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/half_toward_zero.h"

#include "tests/sim/rounding/rounding_tester.h"

namespace facsim::sim {
namespace {

const RoundingTester<rounding::half_toward_zero> half_toward_zero_tester(Rounding::half_toward_zero,
                                                                         oracle::half_toward_zero);

TEST_CASE("half_toward_zero: ties and extremes") {
  half_toward_zero_tester.table({
      {-5, -2, "-2.5: ties go toward zero"},
      {-3, -1, "-1.5: ties go toward zero"},
      {-1, 0, "-0.5: ties go toward zero"},
      {1, 0, "0.5: ties go toward zero"},
      {3, 1, "1.5: ties go toward zero"},
      {5, 2, "2.5: ties go toward zero"},
      {0, 0, "zero stays"},
      {-8, -4, "integers stay"},
      {24690, 12345, "integers stay"},
      {INT32_MAX, 1073741823, "the largest int32 is odd: 2^30 - 1/2"},
      {-INT32_MAX, -1073741823, "-(2^30 - 1/2)"},
      {INT32_MIN, -1073741824, "the smallest int32"},
  });
}

FACSIM_ROUNDING_TESTS(half_toward_zero);

}  // namespace
}  // namespace facsim::sim
