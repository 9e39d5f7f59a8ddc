// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/half_even.h"

#include "tests/sim/rounding/rounding_tester.h"

namespace facsim::sim {
namespace {

const RoundingTester<rounding::half_even> half_even_tester(Rounding::half_even, oracle::half_even);

TEST_CASE("half_even: ties and extremes") {
  half_even_tester.table({
      {-5, -2, "-2.5: ties go to the even neighbour"},
      {-3, -2, "-1.5: ties go to the even neighbour"},
      {-1, 0, "-0.5: ties go to the even neighbour"},
      {1, 0, "0.5: ties go to the even neighbour"},
      {3, 2, "1.5: ties go to the even neighbour"},
      {5, 2, "2.5: ties go to the even neighbour"},
      {0, 0, "zero stays"},
      {-8, -4, "integers stay"},
      {24690, 12345, "integers stay"},
      {INT32_MAX, 1073741824, "the largest int32 is odd: 2^30 - 1/2"},
      {-INT32_MAX, -1073741824, "-(2^30 - 1/2)"},
      {INT32_MIN, -1073741824, "the smallest int32"},
  });
}

FACSIM_ROUNDING_TESTS(half_even);

}  // namespace
}  // namespace facsim::sim
