// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/fused/pattern_tester.h"

using namespace facsim::fused::test;

TEST_CASE("pattern ConvBnAddReLU2d: float, quantized and deployed agree") {
  check_pattern(
      graph({4, 6, 5}, {conv("a", "input", 4, 3, 1), batch_norm("BatchNorm2d", "e", "a", 3),
                        conv("c", "input", 4, 3), batch_norm("BatchNorm2d", "b", "c", 3),
                        node("Add", "s", {"e", "b"}), node("ReLU", "r", {"s"})}),
      "nni.ConvBnAddReLU2d");
}
