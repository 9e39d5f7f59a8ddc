// SPDX-License-Identifier: Apache-2.0
#include "sim/overflow/saturate_symmetric.h"

#include "tests/sim/overflow/overflow_tester.h"

namespace facsim::sim {
namespace {

const OverflowTester<overflow::saturate_symmetric> saturate_symmetric_tester(
    Overflow::saturate_symmetric, oracle::saturate_symmetric);

TEST_CASE("saturate_symmetric: both ends of types") {
  saturate_symmetric_tester.table({
      {128, kInt8, 127, true, "top"},
      {-128, kInt8, -127, true, "the lowest code is not used, and that is counted"},
      {-127, kInt8, -127, false, "inside"},
      {-500, kInt8, -127, true, "far below"},
      {-1, kUint8, 0, true, "unsigned as saturate"},
      {256, kUint8, 255, true, "unsigned as saturate"},
  });
}

TEST_CASE("saturate_symmetric: equals the oracle for every type") {
  saturate_symmetric_tester.every_type();
}

}  // namespace
}  // namespace facsim::sim
