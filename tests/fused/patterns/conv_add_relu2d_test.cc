// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/fused/pattern_tester.h"

using namespace facsim::fused::test;

TEST_CASE("pattern ConvAddReLU2d: float, quantized and deployed agree") {
  check_pattern(graph({4, 6, 5}, {conv("a", "input", 4, 3), conv("c", "a", 3, 3),
                                  node("Add", "s", {"c", "a"}), node("ReLU", "r", {"s"})}),
                "nni.ConvAddReLU2d");
}
