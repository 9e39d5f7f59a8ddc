// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/fused/pattern_tester.h"

using namespace facsim::fused::test;

TEST_CASE("pattern ConvTranspose2d: float, quantized and deployed agree") {
  check_quantized(graph({4, 3, 5}, {conv_transpose("c", "input", 4, 6, 2)}),
                  "nnqat.ConvTranspose2d", transposing_profiles());
  check_quantized(graph({4, 3, 5}, {conv_transpose("c", "input", 4, 6, 1)}),
                  "nnqat.ConvTranspose2d", transposing_profiles());
}
