// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/fused/pattern_tester.h"

using namespace facsim::fused::test;

TEST_CASE("pattern LinearReLU: float, quantized and deployed agree") {
  check_pattern(graph({3, 2, 2}, {node("Flatten", "f", {"input"}), linear("l", "f", 12, 5),
                                  node("ReLU", "r", {"l"})}),
                "nni.LinearReLU");
}
