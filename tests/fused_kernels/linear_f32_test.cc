// SPDX-License-Identifier: Apache-2.0
#include "tests/fused_kernels/kernel_tester.h"

namespace facsim::fused::kernels {
namespace {

TEST_CASE(
    "linear_f32: equals its definition, with the same bits on every target and thread count") {
  struct Case {
    int64_t n, in, out;
    const char* reason;
  };
  const Case cases[] = {
      {64, 40, 10, "the usual classifier"},
      {1, 7, 33, "batch 1"},
      {61, 16, 5, "a batch no row width divides"},
      {96, 3, 64, "more rows than inputs"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reason);
    const ConvTester tester(linear_shape(c.n, c.in, c.out));
    const ConvResult expected = tester.run(nullptr);
    CHECK(tester.error(expected) < 2e-6);

    for (const int threads : {1, 3}) {
      sim::ThreadPool pool(threads);
      for_each_target([&](const char* target) {
        CAPTURE(target);
        const ConvResult got = tester.run(&pool);
        CHECK(same_bits(got.y, expected.y));
        CHECK(same_bits(got.dx, expected.dx));
        CHECK(same_bits(got.dw, expected.dw));
      });
    }
  }
}

}  // namespace
}  // namespace facsim::fused::kernels
