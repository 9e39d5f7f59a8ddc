// SPDX-License-Identifier: Apache-2.0
#include "sim/overflow/error.h"

#include "tests/sim/overflow/overflow_tester.h"

namespace facsim::sim {
namespace {

const OverflowTester<overflow::error> error_tester(Overflow::error, oracle::error);

TEST_CASE("error: both ends of types") {
  error_tester.table({
      {127, kInt8, 127, false, "inside"},
      {-128, kInt8, -128, false, "inside"},
      {255, kUint8, 255, false, "inside"},
  });
}

TEST_CASE("error: equals the oracle for every type") { error_tester.every_type(); }

TEST_CASE("error: a value outside throws and names the type") {
  bool changed = false;
  try {
    bring_into(Overflow::error, 128, kInt8, changed);
    FAIL("did not throw");
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::bad_value);
    CHECK(e.infos().front().found == "a value outside int8");
  }
}

}  // namespace
}  // namespace facsim::sim
