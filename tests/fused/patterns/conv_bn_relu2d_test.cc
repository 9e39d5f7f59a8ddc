// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/fused/pattern_tester.h"

using namespace facsim::fused::test;

TEST_CASE("pattern ConvBnReLU2d: float, quantized and deployed agree") {
  check_pattern(
      graph({4, 6, 5}, {conv("d", "input", 4, 4, 3, 4), batch_norm("BatchNorm2d", "e", "d", 4),
                        node("ReLU6", "f", {"e"}), conv("c", "f", 4, 3),
                        batch_norm("BatchNorm2d", "b", "c", 3), node("ReLU", "r", {"b"})}),
      "nni.ConvBnReLU2d");
}
