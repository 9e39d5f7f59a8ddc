// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/conv2d_segments-internal.h"

#include <doctest/doctest.h>

#include "sim/ops/linear.h"
#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {
namespace {

Conv2dParams wide_params(const Shape& weights) {
  Conv2dParams p;
  p.window.kernel = {weights[1], weights[2]};
  p.input_type = kInt16;
  p.accumulator.bits = 64;
  p.weights = random_codes(kInt8, weights, 5);
  p.bias = Tensor(DType::int64, {weights[0]});
  for (int64_t c = 0; c < weights[0]; ++c) p.bias.set_int(c, (int64_t{1} << 40) - c);
  p.requantize = accumulator_as_output({64, true});
  return p;
}

std::unique_ptr<const Conv2dSegments> segments_of(const Conv2dParams& params) {
  return Conv2dSegments::make(params, Conv2dRange(params));
}

TEST_CASE("conv2d_segments: sums beyond 32 bits equal the norm on every kernel") {
  struct Geometry {
    Shape weights, input;
    std::array<int64_t, 2> stride;
    Padding2d padding;
  };
  for (const Geometry& g : {Geometry{{5, 1, 1, 2100}, {2, 3, 4, 2100}, {1, 1}, {}},
                            Geometry{{33, 3, 3, 250}, {1, 7, 6, 250}, {2, 1}, {1, 0, 1, 2}},
                            Geometry{{7, 3, 2, 301}, {3, 5, 5, 301}, {1, 2}, {2, 1, 0, 1}}}) {
    Conv2dParams params = wide_params(g.weights);
    params.window.stride = g.stride;
    params.window.padding = g.padding;
    const Conv2d conv(params);
    const auto segments = segments_of(params);
    REQUIRE(segments != nullptr);
    CHECK(segments->count() >= 2);
    const Tensor x = random_codes(kInt16, g.input, 6);
    const Tensor norm = run(conv, {&x}, {Isa::scalar, nullptr, false});
    for (const Isa isa : available_isas()) {
      if (isa == Isa::scalar) continue;
      CAPTURE(to_string(isa));
      Tensor y(DType::int64, norm.shape());
      const auto events = segments->run(
          x, norm.shape(), isa, nullptr,
          [&](const int64_t* acc, int64_t first_pixel, int64_t pixels) {
            std::copy_n(acc, pixels * g.weights[0], y.data<int64_t>() + first_pixel * g.weights[0]);
            return Events{};
          });
      REQUIRE(events.has_value());
      CHECK(same_bits(norm, y));
    }
    run_everywhere(conv, {&x});
  }
}

TEST_CASE("conv2d_segments: the largest products, and a linear layer of many rows") {
  LinearParams params;
  params.input_type = kInt16;
  params.accumulator.bits = 64;
  params.weights = Tensor(DType::int8, {3, 2048});
  for (int64_t i = 0; i < params.weights.numel(); ++i) {
    params.weights.set_int(i, i < 2048 ? 127 : (i < 4096 ? -128 : (i % 2 == 0 ? 127 : -128)));
  }
  params.requantize = accumulator_as_output({64, true});
  Tensor x(DType::int16, {70, 2048});
  for (int64_t i = 0; i < x.numel(); ++i) x.set_int(i, i / 2048 % 2 == 0 ? 32767 : -32768);
  const Tensor y = run_everywhere(Linear(params), {&x});
  CHECK(y.int_at(0) == int64_t{2048} * 32767 * 127);
  CHECK(y.int_at(1) == int64_t{2048} * 32767 * -128);
  CHECK(y.int_at(3) == int64_t{2048} * -32768 * 127);
  CHECK(y.int_at(4) == int64_t{2048} * 32768 * 128);
  CHECK(y.int_at(5) == int64_t{1024} * -32768 * -1);
}

TEST_CASE("conv2d_segments: only for exact plain sums without groups") {
  Conv2dParams params = wide_params({8, 1, 1, 2100});
  CHECK(segments_of(params) != nullptr);
  Conv2dParams narrow = params;
  narrow.accumulator.bits = 33;
  narrow.bias = {};
  CHECK(segments_of(narrow) == nullptr);
  Conv2dParams blocks = params;
  blocks.accumulator.block = Accumulator::Block{Accumulator::Block::kAllTaps, 32, Overflow::wrap};
  CHECK(segments_of(blocks) == nullptr);
  Conv2dParams grouped = params;
  grouped.groups = 2;
  CHECK(segments_of(grouped) == nullptr);
  Conv2dParams huge = params;
  huge.input_type = huge.weight_type = kInt16;
  huge.weights = random_codes(kInt16, {8, 1, 1, 2100}, 1);
  CHECK(segments_of(huge) == nullptr);
}

}  // namespace
}  // namespace facsim::sim::test
