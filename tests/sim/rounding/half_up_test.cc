// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/half_up.h"

#include "tests/sim/rounding/rounding_tester.h"

namespace facsim::sim {
namespace {

const RoundingTester<rounding::half_up> half_up_tester(Rounding::half_up, oracle::half_up);

TEST_CASE("half_up: ties and extremes") {
  half_up_tester.table({
      {-5, -2, "-2.5: ties go to +infinity"},
      {-3, -1, "-1.5: ties go to +infinity"},
      {-1, 0, "-0.5: ties go to +infinity"},
      {1, 1, "0.5: ties go to +infinity"},
      {3, 2, "1.5: ties go to +infinity"},
      {5, 3, "2.5: ties go to +infinity"},
      {0, 0, "zero stays"},
      {-8, -4, "integers stay"},
      {24690, 12345, "integers stay"},
      {INT32_MAX, 1073741824, "the largest int32 is odd: 2^30 - 1/2"},
      {-INT32_MAX, -1073741823, "-(2^30 - 1/2)"},
      {INT32_MIN, -1073741824, "the smallest int32"},
  });
}

FACSIM_ROUNDING_TESTS(half_up);

}  // namespace
}  // namespace facsim::sim
