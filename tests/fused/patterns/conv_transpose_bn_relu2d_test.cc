// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/fused/pattern_tester.h"

using namespace facsim::fused::test;

TEST_CASE("pattern ConvTransposeBnReLU2d: float, quantized and deployed agree") {
  check_pattern(
      graph({4, 3, 5}, {conv("d", "input", 4, 4), conv_transpose("c", "d", 4, 6, 2),
                        batch_norm("BatchNorm2d", "b", "c", 6), node("ReLU", "r", {"b"})}),
      "nni.ConvTransposeBnReLU2d", transposing_profiles());
}
