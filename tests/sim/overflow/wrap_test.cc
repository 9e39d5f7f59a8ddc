// SPDX-License-Identifier: Apache-2.0
#include "sim/overflow/wrap.h"

#include "tests/sim/overflow/overflow_tester.h"

namespace facsim::sim {
namespace {

const OverflowTester<overflow::wrap> wrap_tester(Overflow::wrap, oracle::wrap);

TEST_CASE("wrap: both ends of types") {
  wrap_tester.table({
      {128, kInt8, -128, true, "one above the top is the bottom"},
      {-129, kInt8, 127, true, "one below the bottom is the top"},
      {300, kInt8, 44, true, "300 - 256"},
      {256, kUint8, 0, true, "unsigned wraps to 0"},
      {-1, kUint8, 255, true, "unsigned wraps to the top"},
      {127, kInt8, 127, false, "inside"},
      {-128, kInt8, -128, false, "inside"},
      {int64_t{1} << 31, kInt32, INT32_MIN, true, "the left shift of TFLite requantization"},
      {8, IntType{4, true}, -8, true, "int4"},
      {1, IntType{1, true}, -1, true, "one bit holds -1 and 0"},
  });
}

TEST_CASE("wrap: equals the oracle for every type") { wrap_tester.every_type(); }

}  // namespace
}  // namespace facsim::sim
