// SPDX-License-Identifier: Apache-2.0
#include "sim/rounding/neg_half_up_pos_half_even.h"

#include "tests/sim/rounding/rounding_tester.h"

namespace facsim::sim {
namespace {

const RoundingTester<rounding::neg_half_up_pos_half_even> neg_half_up_pos_half_even_tester(
    Rounding::neg_half_up_pos_half_even, oracle::neg_half_up_pos_half_even);

TEST_CASE("neg_half_up_pos_half_even: ties and extremes") {
  neg_half_up_pos_half_even_tester.table({
      {-5, -2, "-2.5: negative ties go up"},
      {-3, -1, "-1.5: negative ties go up"},
      {-1, 0, "-0.5: negative ties go up"},
      {1, 0, "0.5: positive ties go to the even neighbour"},
      {3, 2, "1.5: positive ties go to the even neighbour"},
      {5, 2, "2.5: positive ties go to the even neighbour"},
      {0, 0, "zero stays"},
      {-8, -4, "integers stay"},
      {24690, 12345, "integers stay"},
      {INT32_MAX, 1073741824, "the largest int32 is odd: 2^30 - 1/2"},
      {-INT32_MAX, -1073741823, "-(2^30 - 1/2)"},
      {INT32_MIN, -1073741824, "the smallest int32"},
  });
}

FACSIM_ROUNDING_TESTS(neg_half_up_pos_half_even);

}  // namespace
}  // namespace facsim::sim
