// SPDX-License-Identifier: Apache-2.0
#include <hwy/targets.h>

#include <map>

#include "sim/kernels/conv2d_kernel-internal.h"
#include "sim/kernels/dispatch-internal.h"
#include "sim/ops/conv2d_range.h"
#include "tests/sim_kernels/conv2d_tester.h"

namespace facsim::sim {
namespace {

using test::Conv2dCase;
using test::Fill;

template <class T>
const T& pick(std::mt19937_64& random, const std::vector<T>& values) {
  return values[random() % values.size()];
}

Conv2dCase random_case(uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto between = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
  };
  Conv2dCase c;
  c.seed = seed;
  c.n = between(1, 3);
  c.kh = between(1, 4);
  c.kw = between(1, 4);
  c.stride = {between(1, 3), between(1, 3)};
  c.dilation = {between(1, 2), between(1, 2)};
  c.padding = {between(0, 2), between(0, 2), between(0, 2), between(0, 2)};
  c.ih = between(0, 9) + c.dilation[0] * (c.kh - 1) + 1;
  c.iw = between(0, 14) + c.dilation[1] * (c.kw - 1) + 1;
  switch (random() % 4) {
    case 0:  // depthwise, with a multiplier now and then
      c.groups = pick<int64_t>(random, {2, 5, 16, 33, 40, 70});
      c.group_ic = 1;
      c.group_oc = pick<int64_t>(random, {1, 1, 1, 2, 3});
      break;
    case 1:
      c.groups = between(2, 3);
      c.group_ic = between(1, 6);
      c.group_oc = pick<int64_t>(random, {1, 3, 32, 35});
      break;
    default:
      c.group_ic = pick<int64_t>(random, {1, 2, 3, 4, 5, 7, 8, 12, 17});
      c.group_oc = pick<int64_t>(random, {1, 4, 9, 15, 16, 17, 31, 32, 33, 48, 64, 65});
  }
  c.input_type = pick<IntType>(random, {kInt8, kInt8, kUint8, {4, true}, kInt16});
  c.weight_type = pick<IntType>(random, {kInt8, kInt8, kUint8, {4, true}, {2, true}});
  const auto code = [&](IntType type) {
    return pick<int64_t>(random, {0, type.min(), type.max(), between(type.min(), type.max())});
  };
  if (c.input_type.bits <= 8 || random() % 4 == 0) c.input_zero_point = code(c.input_type);
  c.padding_value = random() % 2 == 0 ? c.input_zero_point : code(c.input_type);
  if (random() % 2 == 0) {
    c.weight_zero_point = c.weight_type.is_signed ? 0 : 128;
  } else {
    c.weight_zero_point = code(c.weight_type);
    c.weight_zero_point_per_channel = random() % 2 == 0;
  }
  c.has_bias = random() % 3 != 0;
  c.input_fill =
      pick<Fill>(random, {Fill::random, Fill::random, Fill::extremes, Fill::lowest, Fill::highest});
  c.weight_fill =
      pick<Fill>(random, {Fill::random, Fill::random, Fill::extremes, Fill::lowest, Fill::highest});
  if (random() % 4 == 0) c.accumulator.bits = pick<int>(random, {16, 20, 31, 40, 48, 64});
  if (random() % 4 == 0) {
    c.accumulator.bits = pick<int>(random, {8, 12, 16, 20, 31, 32, 40});
    c.accumulator.order = Accumulator::Order::sequential;
    c.accumulator.overflow =
        pick<Overflow>(random, {Overflow::wrap, Overflow::saturate, Overflow::saturate_symmetric,
                                Overflow::saturate_zero});
    c.accumulator.init =
        pick<Accumulator::Init>(random, {Accumulator::Init::zero, Accumulator::Init::bias});
  }
  return c;
}

/// The kernel that conv2d takes for this case, by name, or "norm".
std::string kernel_of(const Conv2dParams& params, Isa isa, EventCounting counting) {
  const auto kind = choose_conv2d_kernel(params, Conv2dRange(params), isa, counting);
  return kind ? std::string(to_string(*kind)) : "norm";
}

TEST_CASE("conv2d kernels: a seeded sweep of geometries and types equals the norm") {
  std::map<std::string, int> runs;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    const Conv2dCase c = random_case(seed);
    test::expect_kernels_equal_norm(c);
    const Conv2dParams params = test::make_instance(c).params;
    for (const Isa isa : available_isas()) ++runs[kernel_of(params, isa, EventCounting::off)];
  }
  for (const Isa isa : available_isas()) {
    if (isa == Isa::scalar) continue;
    for (const char* kind : {"pairs", "ordered", "norm"}) {
      CAPTURE(kind);
      CHECK(runs[kind] >= 20);
    }
    CHECK(runs["depthwise"] >= 20);
    if (isa == Isa::avx3_dl) {
      CHECK(runs["quads"] >= 20);
      CHECK(runs["depthwise_quads"] >= 20);
    }
  }
}

TEST_CASE("conv2d kernels: extreme codes, zero points at both ends, deep sums") {
  for (const IntType input_type : {kInt8, kUint8, kInt16}) {
    for (const Fill input_fill : {Fill::lowest, Fill::highest, Fill::extremes}) {
      for (const Fill weight_fill : {Fill::lowest, Fill::highest, Fill::extremes}) {
        for (const int64_t zero_point : {input_type.min(), int64_t{0}, input_type.max()}) {
          Conv2dCase c;
          c.ih = c.iw = 3;
          c.group_ic = 64;
          c.group_oc = 33;
          c.input_type = input_type;
          c.input_fill = input_fill;
          c.weight_fill = weight_fill;
          c.input_zero_point = zero_point;
          c.padding_value = input_type.max();
          test::expect_kernels_equal_norm(c);
        }
      }
    }
  }
}

TEST_CASE("conv2d kernels: a 32-bit accumulator that wraps") {
  Conv2dCase c;  // 16 x 9 products of up to 2^16 * 2^8 pass 2^31
  c.input_type = kInt16;
  c.group_ic = 16;
  c.input_fill = c.weight_fill = Fill::lowest;
  c.group_oc = 5;
  c.weight_type = kInt16;
  const test::Conv2dInstance made = test::make_instance(c);
  CHECK_FALSE(Conv2d(made.params).accumulator_is_exact());
  test::expect_kernels_equal_norm(c);
}

TEST_CASE("conv2d kernels: saturating sequential accumulators, with and without events") {
  uint64_t seed = 1;
  for (const Overflow overflow :
       {Overflow::saturate, Overflow::saturate_symmetric, Overflow::saturate_zero}) {
    for (const int bits : {8, 14, 20, 31}) {
      for (const auto init : {Accumulator::Init::zero, Accumulator::Init::bias}) {
        Conv2dCase c;
        c.seed = seed++;
        c.accumulator = {bits, overflow, Accumulator::Order::sequential, init};
        c.ih = 6;
        c.iw = 11;
        c.group_ic = bits == 31 ? 40 : 9;
        c.group_oc = 37;
        c.input_type = bits == 31 ? kInt16 : kUint8;
        c.weight_type = bits == 31 ? kInt16 : kInt8;
        c.input_zero_point = c.padding_value = bits == 31 ? 0 : 100;
        test::expect_kernels_equal_norm(c);
        if (available_isas().size() > 1) {
          CHECK(kernel_of(test::make_instance(c).params, available_isas().back(),
                          EventCounting::on) == "ordered");
        }
      }
    }
  }
}

TEST_CASE("conv2d kernels: several strips, in rows, in columns and flattened") {
  Conv2dCase wide;
  wide.ih = 3;
  wide.iw = 531;
  test::expect_kernels_equal_norm(wide);
  Conv2dCase tall;
  tall.ih = 150;
  tall.iw = 9;
  tall.stride = {2, 1};
  test::expect_kernels_equal_norm(tall);
  Conv2dCase pointwise;
  pointwise.n = 3;
  pointwise.ih = 13;
  pointwise.iw = 17;
  pointwise.kh = pointwise.kw = 1;
  pointwise.padding = {};
  test::expect_kernels_equal_norm(pointwise);
  Conv2dCase depthwise;
  depthwise.ih = 40;
  depthwise.iw = 33;
  depthwise.groups = 20;
  depthwise.group_ic = depthwise.group_oc = 1;
  test::expect_kernels_equal_norm(depthwise);
}

TEST_CASE("conv2d kernels: every number of pixels in a row of groups") {
  for (int64_t width = 1; width <= 29; ++width) {
    Conv2dCase c;
    c.ih = 1;
    c.iw = width;
    c.kh = c.kw = 1;
    c.padding = {};
    c.group_oc = 33;
    test::expect_kernels_equal_norm(c);
  }
}

TEST_CASE("conv2d kernels: the target that was asked for is the one that ran") {
  for (const int64_t groups : {1, 3}) {
    for (const bool ordered : {false, true}) {
      Conv2dCase c;
      c.groups = groups;
      c.group_ic = groups == 1 ? 4 : 1;
      c.group_oc = 12;
      if (ordered) c.accumulator = {12, Overflow::saturate, Accumulator::Order::sequential, {}};
      const test::Conv2dInstance made = test::make_instance(c);
      const Conv2dRange range(made.params);
      const Conv2dShape shape = Conv2dShape::of(made.params, made.input.shape());
      for (const Isa isa : available_isas()) {
        const auto kind = choose_conv2d_kernel(made.params, range, isa, EventCounting::off);
        CHECK(kind.has_value() == (isa != Isa::scalar));
        if (!kind) continue;
        Conv2dWeights packed;
        pack_conv2d_weights(made.params, range, *kind, packed);
        const auto run =
            run_conv2d_kernel(made.params, packed, shape, made.input, isa, EventCounting::off,
                              nullptr, {[](const AccumulatorBlock&) { return Events{}; }});
        REQUIRE(run.has_value());
        CAPTURE(to_string(isa));
        CAPTURE(to_string(*kind));
        CHECK((*kind == Conv2dKernelKind::ordered) == ordered);
        CHECK(is_depthwise(*kind) == (!ordered && groups == 3));
        CHECK(run->target == (reads_bytes(*kind) ? HWY_AVX3_DL : highway_target(isa)));
      }
    }
  }
}

TEST_CASE("conv2d kernels: a window of millions of pixels goes to the norm, not to memory") {
  Conv2dCase c;
  c.ih = c.iw = 2;
  c.kh = c.kw = 2;
  c.dilation = {1 << 20, 1 << 20};
  c.padding = {1 << 20, 1 << 20, 0, 0};
  const test::Conv2dInstance made = test::make_instance(c);
  const Tensor norm = test::accumulate(made, {Isa::scalar, nullptr, false});
  CHECK(test::difference(test::accumulate(made, {Isa::best, nullptr, false}), norm) == "");
}

TEST_CASE("conv2d kernels: an empty batch gives an empty output") {
  Conv2dCase c;
  c.n = 0;
  const test::Conv2dInstance made = test::make_instance(c);
  for (const Isa isa : available_isas()) {
    AccumulatorStatistics statistics;
    Events events;
    CHECK(test::accumulate(made, {isa, nullptr, true}, &events, &statistics).numel() == 0);
    CHECK(events == Events{});
    CHECK(statistics.sum == std::vector<int64_t>(4, 0));
    CHECK(statistics.min == std::vector<int64_t>(4, INT64_MAX));
  }
}

}  // namespace
}  // namespace facsim::sim
