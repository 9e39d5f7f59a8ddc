// SPDX-License-Identifier: Apache-2.0
#include <hwy/targets.h>

#include "sim/kernels/conv2d_kernel.h"
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
    return pick<int64_t>(random, {0 - (type.is_signed ? 0 : 0), type.min(), type.max(),
                                  between(type.min(), type.max())});
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
  if (c.accumulator.bits <= 32 && random() % 8 == 0) {
    c.accumulator.order = Accumulator::Order::sequential;
    c.accumulator.overflow =
        pick<Overflow>(random, {Overflow::wrap, Overflow::saturate, Overflow::saturate_symmetric,
                                Overflow::saturate_zero});
    c.accumulator.init =
        pick<Accumulator::Init>(random, {Accumulator::Init::zero, Accumulator::Init::bias});
  }
  return c;
}

TEST_CASE("conv2d kernels: a seeded sweep of geometries and types equals the norm") {
  for (uint64_t seed = 1; seed <= 300; ++seed) test::expect_kernels_equal_norm(random_case(seed));
}

}  // namespace
}  // namespace facsim::sim
