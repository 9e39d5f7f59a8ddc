// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/half_odd.h"

#include "tests/sim/rounding/rounding_tester.h"

namespace facsim::sim {
namespace {

const RoundingTester<rounding::half_odd> half_odd_tester(Rounding::half_odd, oracle::half_odd);

TEST_CASE("half_odd: ties and extremes") {
  half_odd_tester.table({
      {-5, -3, "-2.5: ties go to the odd neighbour"},
      {-3, -1, "-1.5: ties go to the odd neighbour"},
      {-1, -1, "-0.5: ties go to the odd neighbour"},
      {1, 1, "0.5: ties go to the odd neighbour"},
      {3, 1, "1.5: ties go to the odd neighbour"},
      {5, 3, "2.5: ties go to the odd neighbour"},
      {0, 0, "zero stays"},
      {-8, -4, "integers stay"},
      {24690, 12345, "integers stay"},
      {INT32_MAX, 1073741823, "the largest int32 is odd: 2^30 - 1/2"},
      {-INT32_MAX, -1073741823, "-(2^30 - 1/2)"},
      {INT32_MIN, -1073741824, "the smallest int32"},
  });
}

FACSIM_ROUNDING_TESTS(half_odd);

}  // namespace
}  // namespace facsim::sim
