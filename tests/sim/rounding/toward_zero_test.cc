// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/toward_zero.h"

#include "tests/sim/rounding/rounding_tester.h"

namespace facsim::sim {
namespace {

const RoundingTester<rounding::toward_zero> toward_zero_tester(Rounding::toward_zero,
                                                               oracle::toward_zero);

TEST_CASE("toward_zero: ties and extremes") {
  toward_zero_tester.table({
      {-5, -2, "-2.5: the fraction is cut"},
      {-3, -1, "-1.5: the fraction is cut"},
      {-1, 0, "-0.5: the fraction is cut"},
      {1, 0, "0.5: the fraction is cut"},
      {3, 1, "1.5: the fraction is cut"},
      {5, 2, "2.5: the fraction is cut"},
      {0, 0, "zero stays"},
      {-8, -4, "integers stay"},
      {24690, 12345, "integers stay"},
      {INT32_MAX, 1073741823, "the largest int32 is odd: 2^30 - 1/2"},
      {-INT32_MAX, -1073741823, "-(2^30 - 1/2)"},
      {INT32_MIN, -1073741824, "the smallest int32"},
  });
}

FACSIM_ROUNDING_TESTS(toward_zero);

}  // namespace
}  // namespace facsim::sim
