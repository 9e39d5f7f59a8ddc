// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/ceil.h"

#include "tests/sim/rounding/rounding_tester.h"

namespace facsim::sim {
namespace {

const RoundingTester<rounding::ceil> ceil_tester(Rounding::ceil, oracle::ceil);

TEST_CASE("ceil: ties and extremes") {
  ceil_tester.table({
      {-5, -2, "-2.5: always up"},
      {-3, -1, "-1.5: always up"},
      {-1, 0, "-0.5: always up"},
      {1, 1, "0.5: always up"},
      {3, 2, "1.5: always up"},
      {5, 3, "2.5: always up"},
      {0, 0, "zero stays"},
      {-8, -4, "integers stay"},
      {24690, 12345, "integers stay"},
      {INT32_MAX, 1073741824, "the largest int32 is odd: 2^30 - 1/2"},
      {-INT32_MAX, -1073741823, "-(2^30 - 1/2)"},
      {INT32_MIN, -1073741824, "the smallest int32"},
  });
}

FACSIM_ROUNDING_TESTS(ceil);

}  // namespace
}  // namespace facsim::sim
