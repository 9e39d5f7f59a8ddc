// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/half_down.h"

#include "tests/sim/rounding/rounding_tester.h"

namespace facsim::sim {
namespace {

const RoundingTester<rounding::half_down> half_down_tester(Rounding::half_down, oracle::half_down);

TEST_CASE("half_down: ties and extremes") {
  half_down_tester.table({
      {-5, -3, "-2.5: ties go to -infinity"},
      {-3, -2, "-1.5: ties go to -infinity"},
      {-1, -1, "-0.5: ties go to -infinity"},
      {1, 0, "0.5: ties go to -infinity"},
      {3, 1, "1.5: ties go to -infinity"},
      {5, 2, "2.5: ties go to -infinity"},
      {0, 0, "zero stays"},
      {-8, -4, "integers stay"},
      {24690, 12345, "integers stay"},
      {INT32_MAX, 1073741823, "the largest int32 is odd: 2^30 - 1/2"},
      {-INT32_MAX, -1073741824, "-(2^30 - 1/2)"},
      {INT32_MIN, -1073741824, "the smallest int32"},
  });
}

FACSIM_ROUNDING_TESTS(half_down);

}  // namespace
}  // namespace facsim::sim
