// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/fused/pattern_tester.h"

using namespace facsim::fused::test;

TEST_CASE("pattern ConvReLU2d: float, quantized and deployed agree") {
  check_pattern(graph({2, 6, 5}, {conv("c", "input", 2, 4), node("ReLU", "r", {"c"})}),
                "nni.ConvReLU2d");
}
