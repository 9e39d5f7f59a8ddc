// SPDX-License-Identifier: Apache-2.0
#include "sim/overflow/saturate_zero.h"

#include "tests/sim/overflow/overflow_tester.h"

namespace facsim::sim {
namespace {

const OverflowTester<overflow::saturate_zero> saturate_zero_tester(Overflow::saturate_zero,
                                                                   oracle::saturate_zero);

TEST_CASE("saturate_zero: both ends of types") {
  saturate_zero_tester.table({
      {128, kInt8, 0, true, "above becomes 0"},
      {-129, kInt8, 0, true, "below becomes 0"},
      {127, kInt8, 127, false, "inside"},
      {-128, kInt8, -128, false, "inside"},
      {0, kInt8, 0, false, "0 was not changed"},
      {256, kUint8, 0, true, "unsigned"},
  });
}

TEST_CASE("saturate_zero: equals the oracle for every type") { saturate_zero_tester.every_type(); }

}  // namespace
}  // namespace facsim::sim
