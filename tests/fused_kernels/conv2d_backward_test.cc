// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/conv2d_backward.h"

#include "tests/fused_kernels/kernel_tester.h"

namespace facsim::fused::kernels {
namespace {

constexpr sim::Window2d kWindow{{3, 3}, {2, 1}, {1, 1}, {1, 1, 1, 1}};

/// A layer's backward pass as training asks for it: x and y are codes, z is accumulators.
struct Layer {
  explicit Layer(const Conv2dShape& s) : shape(s) {
    const auto [oh, ow] = s.window.output_extent(s.ih, s.iw);
    rows = s.n * oh * ow;
    const auto codes = [](int64_t n, uint32_t seed, float size) {
      std::vector<int8_t> out;
      for (const float v : random_floats(n, seed)) out.push_back(static_cast<int8_t>(v * size));
      return out;
    };
    x = codes(s.n * s.ih * s.iw * s.ic, 1, 128);
    y = codes(rows * s.oc, 2, 3);  // many on the ends of the clamp
    for (const int8_t v : codes(rows * s.oc, 3, 128)) z.push_back(1000 * v + 17);
    dy = random_floats(rows * s.oc, 4);
    const auto taps = s.window.kernel[0] * s.window.kernel[1] * s.ic / s.groups;
    w = random_floats(s.oc * taps, 5);
    scale = random_floats(s.oc, 6);
    offset = random_floats(s.oc, 7);
    slope = random_floats(s.oc, 8);
    center = random_floats(s.oc, 9);
    inverse = random_floats(s.oc, 10);
    for (float& v : inverse) v *= 1e-5f;
  }

  BackwardPass pass(ConvResult& r) const {
    BackwardPass p;
    p.shape = shape;
    p.x = {x.data(), DType::int8, -7, 0.03f};
    p.dz = {{rows, shape.oc, dy.data(), y.data(), DType::int8, -2, 2, z.data(), DType::int32,
             center.data(), inverse.data()},
            scale.data(),
            offset.data(),
            slope.data()};
    p.w = w.data();
    r.dx.assign(x.size(), 7);
    r.dw.assign(w.size(), 7);
    p.dx = r.dx.data();
    p.dw = r.dw.data();
    return p;
  }

  Conv2dShape shape;
  int64_t rows = 0;
  std::vector<int8_t> x, y;
  std::vector<int32_t> z;
  std::vector<float> dy, w, scale, offset, slope, center, inverse;
};

const ConvCase kCases[] = {
    {{3, 6, 5, 5, 7, 1, kWindow}, "channels off every vector"},
    {{2, 6, 7, 16, 32, 1, kWindow}, "whole vectors"},
    {{2, 5, 4, 19, 19, 19, kWindow}, "depthwise"},
    {{2, 5, 4, 6, 8, 2, kWindow}, "groups"},
    {{2, 4, 4, 290, 110, 1, kWindow}, "one task per block of outputs"},
    {{17, 1, 1, 30, 10, 1, {}}, "linear"},
};

TEST_CASE("conv2d_backward: codes and masks give the bits of their float32 operands") {
  for (const ConvCase& c : kCases) {
    CAPTURE(c.reason);
    const Layer layer(c.shape);
    ConvResult expected;
    BackwardPass pass = layer.pass(expected);
    // The definitions, one operation at a time.
    std::vector<float> x, dz;
    for (const int8_t code : layer.x) x.push_back(static_cast<float>(code + 7) * 0.03f);
    for (size_t i = 0; i < layer.dy.size(); ++i) {
      const size_t k = i % static_cast<size_t>(c.shape.oc);
      const float g = layer.y[i] > -2 && layer.y[i] < 2 ? layer.dy[i] : 0.0f;
      const float x_hat = (static_cast<float>(layer.z[i]) - layer.center[k]) * layer.inverse[k];
      dz.push_back(layer.scale[k] * g + (layer.offset[k] + layer.slope[k] * x_hat));
    }
    pass.x = {.data = x.data()};
    pass.dz = {};
    pass.dz.gradient.rows = layer.rows;
    pass.dz.gradient.channels = c.shape.oc;
    pass.dz.gradient.dy = dz.data();
    conv2d_backward(pass, nullptr);
    for_each_target([&](const char* target) {
      CAPTURE(target);
      ConvResult got;
      conv2d_backward(layer.pass(got), nullptr);
      CHECK(same_bits(got.dx, expected.dx));
      CHECK(same_bits(got.dw, expected.dw));
    });
    ConvResult weights_only;
    BackwardPass without_dx = layer.pass(weights_only);
    without_dx.dx = nullptr;
    without_dx.w = nullptr;
    conv2d_backward(without_dx, nullptr);
    CHECK(same_bits(weights_only.dw, expected.dw));
  }
}

TEST_CASE("conv2d_backward: a batch of zero images") {
  for (const int64_t channels : {4, 200}) {
    BackwardPass pass;
    pass.shape = {0, 5, 5, channels, channels, 1, kWindow};
    pass.dz.gradient.channels = channels;
    std::vector<float> w(static_cast<size_t>(channels * 9 * channels), 1), dw(w.size(), 7);
    pass.w = w.data();
    pass.dw = dw.data();
    pass.dx = w.data();  // wanted, and of no elements
    conv2d_forward(pass.shape, nullptr, w.data(), nullptr, nullptr);
    conv2d_backward(pass, nullptr);
    CHECK(dw == std::vector<float>(w.size(), 0));
    CHECK(w == std::vector<float>(w.size(), 1));
  }
}

}  // namespace
}  // namespace facsim::fused::kernels
