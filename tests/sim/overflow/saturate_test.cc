// SPDX-License-Identifier: Apache-2.0
#include "sim/overflow/saturate.h"

#include "tests/sim/overflow/overflow_tester.h"

namespace facsim::sim {
namespace {

const OverflowTester<overflow::saturate> saturate_tester(Overflow::saturate, oracle::saturate);

TEST_CASE("saturate: both ends of types") {
  saturate_tester.table({
      {128, kInt8, 127, true, "top"},
      {-129, kInt8, -128, true, "bottom"},
      {-1, kUint8, 0, true, "unsigned bottom"},
      {256, kUint8, 255, true, "unsigned top"},
      {127, kInt8, 127, false, "inside"},
      {-128, kInt8, -128, false, "inside"},
      {int64_t{1} << 62, kInt32, INT32_MAX, true, "far outside"},
      {16, IntType{4, false}, 15, true, "uint4"},
  });
}

TEST_CASE("saturate: equals the oracle for every type") { saturate_tester.every_type(); }

}  // namespace
}  // namespace facsim::sim
