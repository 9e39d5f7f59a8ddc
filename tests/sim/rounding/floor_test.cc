// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/floor.h"

#include "tests/sim/rounding/rounding_tester.h"

namespace facsim::sim {
namespace {

const RoundingTester<rounding::floor> floor_tester(Rounding::floor, oracle::floor);

TEST_CASE("floor: ties and extremes") {
  floor_tester.table({
      {-5, -3, "-2.5: always down"},
      {-3, -2, "-1.5: always down"},
      {-1, -1, "-0.5: always down"},
      {1, 0, "0.5: always down"},
      {3, 1, "1.5: always down"},
      {5, 2, "2.5: always down"},
      {0, 0, "zero stays"},
      {-8, -4, "integers stay"},
      {24690, 12345, "integers stay"},
      {INT32_MAX, 1073741823, "the largest int32 is odd: 2^30 - 1/2"},
      {-INT32_MAX, -1073741824, "-(2^30 - 1/2)"},
      {INT32_MIN, -1073741824, "the smallest int32"},
  });
}

FACSIM_ROUNDING_TESTS(floor);

}  // namespace
}  // namespace facsim::sim
