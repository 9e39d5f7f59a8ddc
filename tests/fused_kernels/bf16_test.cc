// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/bf16.h"

#include <cstdio>
#include <limits>

#include "fused/kernels/bf16_rows.h"
#include "tests/fused_kernels/kernel_tester.h"

namespace facsim::fused::kernels {
namespace {

uint32_t word(uint16_t first, uint16_t second) {
  return first | static_cast<uint32_t>(second) << 16;
}

TEST_CASE("bf16: rounding to nearest even, by hand") {
  const float inf = std::numeric_limits<float>::infinity();
  struct Case {
    float value;
    uint16_t bits;
    const char* reason;
  };
  const Case cases[] = {
      {0.0f, 0x0000, "zero"},
      {-0.0f, 0x8000, "its sign"},
      {1.0f, 0x3f80, "exact"},
      {255.0f, 0x437f, "largest centred code of 8 bits"},
      {-255.0f, 0xc37f, "and smallest"},
      {1.0f + 0x1p-8f, 0x3f80, "tie to even, down"},
      {1.0f + 0x3p-8f, 0x3f82, "tie to even, up"},
      {1.0f + 0x1p-8f + 0x1p-23f, 0x3f81, "above a tie"},
      {0x1.ffp127f, 0x7f80, "tie above the largest: infinity"},
      {0x1.fep127f, 0x7f7f, "the largest"},
      {inf, 0x7f80, "infinity"},
      {0x1p-140f, 0x0000, "below the smallest subnormal: 2^-133 has half of it at 2^-134"},
      {0x1p-133f, 0x0001, "the smallest subnormal is kept"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reason);
    CHECK(to_bf16(c.value) == c.bits);
  }
  const float nan = from_bf16(to_bf16(std::bit_cast<float>(0x7f800001u)));
  CHECK(nan != nan);
}

TEST_CASE("bf16: a step adds the second product first, rounds after each and flushes subnormals") {
  const uint16_t one = to_bf16(1), tiny = to_bf16(0x1p-24f), small = to_bf16(0x1p-70f);
  CHECK(dot_pair(0, word(to_bf16(3), to_bf16(5)), word(to_bf16(7), to_bf16(-2))) == 11);
  // (1 + 2^-24) + 2^-24 stays 1 twice; the sum of the products alone would not.
  CHECK(dot_pair(1, word(one, one), word(tiny, tiny)) == 1);
  // 2^24 + 1 loses the 1 only while it is there.
  CHECK(dot_pair(0x1p24f, word(to_bf16(-0x1p24f), one), word(one, one)) == 0);
  CHECK(dot_pair(0x1p24f, word(one, to_bf16(-0x1p24f)), word(one, one)) == 1);
  CHECK(dot_pair(0, word(small, 0), word(small, 0)) == 0);
  CHECK(dot_pair(0x1p-130f, 0, 0) == 0);
  CHECK(dot_pair(0, word(0x0001, 0), word(to_bf16(0x1p100f), 0)) == 0);
}

TEST_CASE("bf16_rows: equal their definitions on every target") {
  std::vector<float> values = random_floats(77, 1);
  values[3] = std::numeric_limits<float>::quiet_NaN();
  values[40] = 1.0f + 0x1p-8f;
  values[41] = -std::numeric_limits<float>::infinity();
  std::vector<uint8_t> codes;
  for (size_t i = 0; i < values.size(); ++i) codes.push_back(static_cast<uint8_t>(i * 71));
  const auto count = static_cast<int64_t>(values.size());
  for_each_target([&](const char* target) {
    CAPTURE(target);
    std::vector<uint16_t> rounded(values.size()), centred(values.size());
    round_to_bf16(values.data(), count, rounded.data());
    centred_bf16({codes.data(), DType::uint8, 255, 9}, 0, count, centred.data());
    std::vector<float> words(values.size());
    interleave(rounded.data(), centred.data(), count, words.data());
    for (size_t i = 0; i < values.size(); ++i) {
      CHECK(rounded[i] == to_bf16(values[i]));
      CHECK(from_bf16(centred[i]) == static_cast<float>(codes[i]) - 255);
      CHECK(std::bit_cast<uint32_t>(words[i]) == word(rounded[i], centred[i]));
    }
    centred_bf16({codes.data(), DType::int8, -128, 9}, 1, count - 1, centred.data());
    CHECK(from_bf16(centred[0]) == static_cast<float>(static_cast<int8_t>(codes[1])) + 128);
  });
}

/// A layer with codes of 8 bits, and its gradients by bf16.h's definition.
struct Bf16Layer {
  explicit Bf16Layer(const Conv2dShape& s) : shape(s) {
    const auto extent = s.window.output_extent(s.ih, s.iw);
    oh = extent[0];
    ow = extent[1];
    for (const float v : random_floats(s.n * s.ih * s.iw * s.ic, 1)) {
      x.push_back(static_cast<uint8_t>(128 + 127 * v));
    }
    size = s.window.kernel[0] * s.window.kernel[1] * s.ic;
    for (const float v : random_floats(s.oc * size, 2)) w.push_back(static_cast<int8_t>(127 * v));
    dz = random_floats(s.n * oh * ow * s.oc, 3);
    for (const float v : random_floats(s.oc, 4)) {
      weight_scale.push_back(0.01f * (1.5f + v));
      weight_zero.push_back(static_cast<int64_t>(4 * v));
    }
  }

  BackwardPass pass(ConvResult& r) const {
    BackwardPass p;
    p.shape = shape;
    p.x = {x.data(), DType::uint8, 117, 0.02f};
    p.dz.gradient.rows = shape.n * oh * ow;
    p.dz.gradient.channels = shape.oc;
    p.dz.gradient.dy = dz.data();
    p.weights = {w.data(), DType::int8, weight_zero, weight_scale};
    r.dx.assign(x.size(), 7);
    r.dw.assign(w.size(), 7);
    p.dx = r.dx.data();
    p.dw = r.dw.data();
    return p;
  }

  ConvResult expected(bool one_chain) const {
    ConvResult r{{}, std::vector<float>(x.size()), std::vector<float>(w.size())};
    for (int64_t n = 0; n < shape.n; ++n) {
      for (int64_t h = 0; h < shape.ih; ++h)
        for (int64_t v = 0; v < shape.iw; ++v)
          for (int64_t c = 0; c < shape.ic; ++c) {
            r.dx[static_cast<size_t>(((n * shape.ih + h) * shape.iw + v) * shape.ic + c)] =
                input_gradient(n, h, v, c);
          }
    }
    for (int64_t o = 0; o < shape.oc; ++o) {
      for (int64_t k = 0; k < size; ++k) {
        float total = 0;
        for (int64_t n = 0; n < shape.n; ++n) {
          const float sum = weight_gradient(one_chain ? total : 0, n, o, k);
          total = one_chain || n == 0 ? sum : total + sum;
        }
        r.dw[static_cast<size_t>(o * size + k)] =
            0.02f / weight_scale[static_cast<size_t>(o)] * total;
      }
    }
    return r;
  }

  Conv2dShape shape;
  int64_t oh = 0, ow = 0, size = 0;
  std::vector<uint8_t> x;
  std::vector<int8_t> w;
  std::vector<float> dz, weight_scale;
  std::vector<int64_t> weight_zero;

 private:
  uint16_t d(int64_t n, int64_t h, int64_t v, int64_t o) const {
    if (v >= ow || o >= shape.oc) return 0;
    const float value = dz[static_cast<size_t>(((n * oh + h) * ow + v) * shape.oc + o)];
    return to_bf16(weight_scale[static_cast<size_t>(o)] * value);
  }
  uint16_t weight(int64_t o, int64_t k) const {
    if (o >= shape.oc) return 0;
    const auto code = static_cast<float>(w[static_cast<size_t>(o * size + k)] -
                                         weight_zero[static_cast<size_t>(o)]);
    return to_bf16(code);
  }
  uint16_t input(int64_t n, int64_t h, int64_t v, int64_t c) const {
    if (h < 0 || v < 0 || h >= shape.ih || v >= shape.iw) return 0;
    const auto at = static_cast<size_t>(((n * shape.ih + h) * shape.iw + v) * shape.ic + c);
    return to_bf16(static_cast<float>(x[at]) - 117);
  }
  float input_gradient(int64_t n, int64_t ih, int64_t iw, int64_t c) const {
    const sim::Window2d& window = shape.window;
    float acc = 0;
    for (int64_t kh = window.kernel[0]; kh-- > 0;)
      for (int64_t kw = window.kernel[1]; kw-- > 0;) {
        const int64_t h = ih + window.padding.top - kh * window.dilation[0];
        const int64_t v = iw + window.padding.left - kw * window.dilation[1];
        if (h < 0 || v < 0 || h % window.stride[0] != 0 || v % window.stride[1] != 0) continue;
        const int64_t row = h / window.stride[0], column = v / window.stride[1];
        if (row >= oh || column >= ow) continue;
        const int64_t k = (kh * window.kernel[1] + kw) * shape.ic + c;
        for (int64_t o = 0; o < shape.oc; o += 2) {
          acc = dot_pair(acc, word(d(n, row, column, o), d(n, row, column, o + 1)),
                         word(weight(o, k), weight(o + 1, k)));
        }
      }
    return acc;
  }
  float weight_gradient(float acc, int64_t n, int64_t o, int64_t k) const {
    const sim::Window2d& window = shape.window;
    const int64_t kh = k / shape.ic / window.kernel[1], kw = k / shape.ic % window.kernel[1];
    for (int64_t row = 0; row < oh; ++row) {
      const int64_t h = row * window.stride[0] - window.padding.top + kh * window.dilation[0];
      const int64_t v = kw * window.dilation[1] - window.padding.left;
      for (int64_t column = 0; column < ow; column += 2) {
        const int64_t at = v + column * window.stride[1];
        acc = dot_pair(
            acc,
            word(input(n, h, at, k % shape.ic), input(n, h, at + window.stride[1], k % shape.ic)),
            word(d(n, row, column, o), d(n, row, column + 1, o)));
      }
    }
    return acc;
  }
};

sim::Window2d square(int64_t kernel, int64_t stride, int64_t padding) {
  return {{kernel, kernel}, {stride, stride}, {1, 1}, {padding, padding, padding, padding}};
}

TEST_CASE("conv2d_backward: bf16 equals its definition bit for bit, for any number of threads") {
  if (!bf16_supported()) {
    std::puts("SKIPPED: bf16 gradients: no AVX-512 BF16");
    return;
  }
  struct Case {
    Conv2dShape shape;
    bool one_chain;
    const char* reason;
  };
  const Case cases[] = {
      {{3, 6, 8, 4, 32, 1, square(3, 1, 1)}, false, "whole pairs and vectors"},
      {{2, 5, 7, 3, 7, 1, square(3, 2, 1)}, false, "stride 2, odd channels, odd columns"},
      {{2, 6, 5, 1, 33, 1, square(3, 1, 1)}, false, "first layer, a channel over a block"},
      {{2, 9, 9, 5, 17, 1, square(5, 3, 2)}, false, "stride 3"},
      {{2, 9, 8, 6, 10, 1, {{3, 3}, {1, 1}, {2, 2}, {2, 2, 2, 2}}}, false, "dilation 2"},
      {{2, 6, 6, 8, 20, 1, square(1, 2, 0)}, false, "pointwise stride 2"},
      {{2, 4, 4, 523, 512, 1, square(1, 1, 0)}, true, "one task per block of outputs"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reason);
    const Bf16Layer layer(c.shape);
    const ConvResult expected = layer.expected(c.one_chain);
    for (const int threads : {1, 3}) {
      CAPTURE(threads);
      sim::ThreadPool pool(threads);
      ConvResult got;
      conv2d_backward(layer.pass(got), &pool);
      CHECK(same_bits(got.dx, expected.dx));
      CHECK(same_bits(got.dw, expected.dw));
    }
    for_each_target([&](const char* target) {  // that lays out what the kernels read
      CAPTURE(target);
      ConvResult got;
      conv2d_backward(layer.pass(got), nullptr);
      CHECK(same_bits(got.dx, expected.dx));
      CHECK(same_bits(got.dw, expected.dw));
    });
  }
}

TEST_CASE("conv2d_backward: what cannot run in bf16") {
  const IntegerWeights weights{.type = DType::int8};
  const Conv2dShape shape{1, 4, 4, 4, 4, 1, square(3, 1, 1)};
  CHECK(can_run_in_bf16(shape, {.type = DType::uint8}, weights) == bf16_supported());
  CHECK_FALSE(can_run_in_bf16(shape, {.type = DType::float32}, weights));
  CHECK_FALSE(can_run_in_bf16(shape, {.type = DType::int16}, weights));
  CHECK_FALSE(can_run_in_bf16(shape, {.type = DType::int8}, {.type = DType::int16}));
  Conv2dShape depthwise = shape;
  depthwise.groups = 4;
  CHECK_FALSE(can_run_in_bf16(depthwise, {.type = DType::int8}, weights));
}

}  // namespace
}  // namespace facsim::fused::kernels
