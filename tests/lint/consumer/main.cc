// SPDX-License-Identifier: Apache-2.0
// What an outside project does first: load a profile, build a layer, run it.
#include <cstdio>

#include "backends/lower/lower.h"
#include "fused/network.h"
#include "sim/ops/conv2d.h"

int main() {
  using namespace facsim;
  const backends::Profile profile =
      backends::load_profile("tflite-micro", backends::ProfileSearch::standard());
  quant::QParams input, weight, output;
  input.scale = {0.5f};
  weight.scale = {0.25f};
  output.scale = {1.0f};
  Tensor weights(DType::int8, {1, 1, 1, 1});
  weights.set_int(0, 4);
  const sim::Conv2d conv(backends::lower_conv2d(profile, {}, 1, input, weights, weight, {}, output,
                                                backends::Activation::none));
  Tensor x(DType::int8, {1, 1, 1, 1});
  x.set_int(0, 10);
  Tensor y(DType::int8, {1, 1, 1, 1});
  const Tensor* inputs[] = {&x};
  conv.run(inputs, y, {});
  std::printf("10 * 0.5 times 4 * 0.25 is %d\n", static_cast<int>(y.int_at(0)));
  return y.int_at(0) == 5 ? 0 : 1;
}
