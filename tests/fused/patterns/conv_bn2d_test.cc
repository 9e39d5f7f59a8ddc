// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/fused/pattern_tester.h"

using namespace facsim::fused::test;

TEST_CASE("pattern ConvBn2d: float, quantized and deployed agree") {
  check_pattern(
      graph({2, 6, 5}, {conv("c", "input", 2, 4), batch_norm("BatchNorm2d", "b", "c", 4)}),
      "nni.ConvBn2d");
}
