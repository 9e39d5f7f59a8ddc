// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/transpose_conv2d.h"

#include <doctest/doctest.h>

#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

namespace {

struct Geometry {
  Shape input;  // NHWC
  int64_t oc, groups;
  std::array<int64_t, 2> kernel, stride, dilation;
  Padding2d padding;
  std::array<int64_t, 2> output_padding;
};

TransposeConv2dParams make_params(const Geometry& g, IntType input, IntType weight, int bits) {
  TransposeConv2dParams params;
  Conv2dParams& layer = params.layer;
  layer.window = {g.kernel, g.stride, g.dilation, g.padding};
  layer.groups = g.groups;
  layer.input_type = input;
  layer.weight_type = weight;
  layer.input_zero_point = input.bits == 8 ? -5 : 0;
  layer.weights = random_codes(weight, {g.oc, g.kernel[0], g.kernel[1], g.input[3] / g.groups}, 21);
  layer.bias = Tensor(DType::int64, {g.oc});
  for (int64_t c = 0; c < g.oc; ++c) layer.bias.set_int(c, 1000 * c - 700);
  layer.accumulator.bits = bits;
  layer.requantize = accumulator_as_output({64, true});
  params.output_padding = g.output_padding;
  return params;
}

/// By definition: every input pixel adds its products to the output pixels under the kernel.
std::vector<int64_t> scattered(const TransposeConv2dParams& p, const Tensor& x, const Shape& out) {
  const Conv2dParams& layer = p.layer;
  const Shape& in = x.shape();
  const Shape& w = layer.weights.shape();
  std::vector<int64_t> acc(static_cast<size_t>(out.numel()));
  for (int64_t i = 0; i < out.numel(); ++i) {
    acc[static_cast<size_t>(i)] = layer.bias.int_at(i % out[3]);
  }
  for (int64_t n = 0; n < in[0]; ++n) {
    for (int64_t ih = 0; ih < in[1]; ++ih) {
      for (int64_t iw = 0; iw < in[2]; ++iw) {
        for (int64_t oc = 0; oc < w[0]; ++oc) {
          for (int64_t kh = 0; kh < w[1]; ++kh) {
            for (int64_t kw = 0; kw < w[2]; ++kw) {
              const int64_t oh = ih * layer.window.stride[0] + kh * layer.window.dilation[0] -
                                 layer.window.padding.top;
              const int64_t ow = iw * layer.window.stride[1] + kw * layer.window.dilation[1] -
                                 layer.window.padding.left;
              if (oh < 0 || oh >= out[1] || ow < 0 || ow >= out[2]) continue;
              const int64_t first = oc / (w[0] / layer.groups) * w[3];
              for (int64_t ic = 0; ic < w[3]; ++ic) {
                const int64_t code = x.int_at(((n * in[1] + ih) * in[2] + iw) * in[3] + first + ic);
                acc[static_cast<size_t>(((n * out[1] + oh) * out[2] + ow) * out[3] + oc)] +=
                    (code - layer.input_zero_point) *
                    layer.weights.int_at(((oc * w[1] + kh) * w[2] + kw) * w[3] + ic);
              }
            }
          }
        }
      }
    }
  }
  return acc;
}

}  // namespace

TEST_CASE("transpose_conv2d: every geometry equals scattering the input") {
  const Geometry geometries[] = {
      {{2, 4, 5, 3}, 4, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, {0, 0}},
      {{2, 4, 5, 3}, 4, 1, {3, 3}, {2, 2}, {1, 1}, {0, 0, 0, 0}, {0, 0}},
      {{1, 4, 5, 3}, 2, 1, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, {1, 1}},
      {{1, 4, 3, 2}, 3, 1, {2, 2}, {2, 2}, {1, 1}, {1, 0, 1, 1}, {0, 0}},  // crops the input
      {{1, 3, 3, 2}, 3, 1, {2, 1}, {3, 4}, {1, 1}, {0, 0, 0, 0}, {2, 3}},  // pixels without taps
      {{1, 3, 3, 4}, 6, 2, {3, 2}, {2, 1}, {1, 1}, {0, 1, 1, 0}, {0, 0}},
      {{1, 3, 4, 4}, 4, 4, {3, 3}, {2, 2}, {1, 1}, {1, 1, 0, 0}, {0, 0}},
      {{1, 3, 4, 2}, 2, 1, {3, 2}, {2, 3}, {2, 3}, {1, 2, 0, 1}, {1, 0}},
      {{1, 1, 1, 1}, 1, 1, {5, 5}, {2, 2}, {1, 1}, {2, 2, 2, 2}, {0, 0}},
      {{1, 1, 1, 2}, 1, 1, {1, 1}, {2, 2}, {1, 1}, {1, 1, 0, 0}, {3, 3}},  // only padding is left
  };
  for (const Geometry& g : geometries) {
    const std::pair<IntType, int> types[] = {{kInt8, 32}, {kInt16, 64}};
    for (const auto& [type, bits] : types) {
      CAPTURE(to_string(g.input));
      CAPTURE(bits);
      const TransposeConv2dParams params = make_params(g, type, kInt8, bits);
      const TransposeConv2d op(params);
      const Tensor x = random_codes(type, g.input, 22);
      const Tensor y = run_everywhere(op, {&x});
      CHECK(ints(y) == scattered(params, x, y.shape()));
    }
  }
}

TEST_CASE("transpose_conv2d: sequential saturation takes the taps in the order of the input") {
  Geometry g{{1, 1, 3, 1}, 1, 1, {1, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {0, 0}};
  TransposeConv2dParams params = make_params(g, kInt8, kInt8, 8);
  params.layer.input_zero_point = 0;
  params.layer.accumulator = {8, Overflow::saturate, Accumulator::Order::sequential,
                              Accumulator::Init::zero};
  params.layer.bias = {};
  params.layer.weights = tensor<int8_t>({1, 1, 3, 1}, {1, 1, 1});
  const Tensor x = tensor<int8_t>({1, 1, 3, 1}, {100, 100, -100});
  Events events;
  // 100; 100 + 100 = 127; (127) - 100 = 27; 100 - 100 = 0; -100.
  CHECK(ints(run_everywhere(TransposeConv2d(params), {&x}, &events)) ==
        std::vector<int64_t>{100, 127, 27, 0, -100});
  CHECK(events.accumulator_overflow == 2);
}

TEST_CASE("transpose_conv2d: refuses what a convolution refuses and outputs of no pixel") {
  const Geometry g{{1, 2, 2, 3}, 2, 1, {2, 2}, {1, 1}, {1, 1}, {2, 2, 2, 2}, {0, 0}};
  TransposeConv2dParams params = make_params(g, kInt8, kInt8, 32);
  const TransposeConv2d op(params);
  const Tensor x = random_codes(kInt8, {1, 2, 2, 3}, 1),
               narrow = random_codes(kInt8, {1, 4, 4, 2}, 1);
  CHECK(error_of([&] { run(op, {&x}, {}); }, "at least one pixel") == ErrorCode::shape_mismatch);
  CHECK(error_of([&] { run(op, {&narrow}, {}); }, "3 channels") == ErrorCode::shape_mismatch);
  params.output_padding = {-1, 0};
  CHECK(error_of([&] { TransposeConv2d{params}; }, "output_padding") == ErrorCode::bad_value);
  params.output_padding = {0, 0};
  params.layer.window.stride = {0, 1};
  CHECK(error_of([&] { TransposeConv2d{params}; }, "stride") == ErrorCode::bad_value);
  params.layer.window.stride = {1, 1};
  params.layer.accumulator.block = Accumulator::Block{.taps = 2};
  CHECK(error_of([&] { TransposeConv2d{params}; }, "transpose_conv2d accumulator: blocks") ==
        ErrorCode::unsupported);
  params.layer.accumulator.block = Accumulator::Block{.taps = Accumulator::Block::kAllTaps,
                                                      .span = Accumulator::Block::Span::position};
  CHECK(error_of([&] { TransposeConv2d{params}; }, "blocks of taps") == ErrorCode::unsupported);
  params.layer.accumulator.block.reset();
  for (const auto operands :
       {Accumulator::Operands::codes, Accumulator::Operands::unsigned_codes}) {
    params.layer.accumulator.operands = operands;
    CHECK(error_of([&] { TransposeConv2d{params}; }, "transpose_conv2d accumulator: operands") ==
          ErrorCode::unsupported);
  }
  const TransposeConv2d fits(
      make_params({{1, 4, 5, 3}, 4, 1, {3, 3}, {2, 2}, {1, 1}, {}, {0, 0}}, kInt8, kInt8, 32));
  CHECK(fits.macs(std::vector<Shape>{{1, 4, 5, 3}}) == 4 * 5 * 3 * 4 * 9);
}

}  // namespace facsim::sim::test
