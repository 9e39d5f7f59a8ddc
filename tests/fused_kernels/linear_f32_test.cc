// SPDX-License-Identifier: Apache-2.0
#include "tests/fused_kernels/kernel_tester.h"

namespace facsim::fused::kernels {
namespace {

TEST_CASE("linear_f32: equals the 1x1 convolution it is, on every target and thread count") {
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
    const ConvTester tester({.n = c.n, .ic = c.in, .oc = c.out});
    const ConvResult expected = tester.run(nullptr);
    CHECK(tester.error(expected) < 2e-6);

    const auto x = random_floats(c.n * c.in, 1), w = random_floats(c.out * c.in, 2),
               dy = random_floats(c.n * c.out, 3);
    for (const int threads : {1, 3}) {
      sim::ThreadPool pool(threads);
      for_each_target([&](const char* target) {
        CAPTURE(target);
        std::vector<float> y(dy.size(), 7), dx(x.size(), 7), dw(w.size(), 7);
        linear_forward(c.n, c.in, c.out, x.data(), w.data(), y.data(), &pool);
        linear_input_gradient(c.n, c.in, c.out, dy.data(), w.data(), dx.data(), &pool);
        linear_weight_gradient(c.n, c.in, c.out, x.data(), dy.data(), dw.data(), &pool);
        CHECK(same_bits(y, expected.y));
        CHECK(same_bits(dx, expected.dx));
        CHECK(same_bits(dw, expected.dw));
      });
    }
  }
}

}  // namespace
}  // namespace facsim::fused::kernels
