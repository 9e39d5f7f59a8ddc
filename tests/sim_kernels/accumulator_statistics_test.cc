// SPDX-License-Identifier: Apache-2.0
#include "tests/sim_kernels/conv2d_tester.h"

namespace facsim::sim {
namespace {

using test::Conv2dCase;
using test::Fill;

/// Straight from the definition.
AccumulatorStatistics expected_statistics(const Tensor& acc) {
  const int64_t channels = acc.shape()[3];
  const size_t n = static_cast<size_t>(channels);
  AccumulatorStatistics s{std::vector<int64_t>(n), std::vector<int128>(n),
                          std::vector<int64_t>(n, INT64_MAX), std::vector<int64_t>(n, INT64_MIN)};
  for (int64_t i = 0; i < acc.numel(); ++i) {
    const size_t c = static_cast<size_t>(i % channels);
    const int64_t v = acc.int_at(i);
    s.sum[c] += v;
    s.sum_of_squares[c] += static_cast<int128>(v) * v;
    s.min[c] = std::min(s.min[c], v);
    s.max[c] = std::max(s.max[c], v);
  }
  return s;
}

void expect_exact_statistics(const Conv2dCase& c) {
  INFO(c.text());
  const test::Conv2dInstance made = test::make_instance(c);
  const Tensor norm = test::accumulate(made, {Isa::scalar, nullptr, false});
  const AccumulatorStatistics expected = expected_statistics(norm);
  ThreadPool pool(3);
  for (const Isa isa : available_isas()) {
    for (ThreadPool* threads : {static_cast<ThreadPool*>(nullptr), &pool}) {
      INFO("isa ", to_string(isa), " threads ", threads == nullptr ? 1 : 3);
      AccumulatorStatistics statistics;
      const Tensor acc = test::accumulate(made, {isa, threads, false}, nullptr, &statistics);
      CHECK(test::difference(acc, norm) == "");
      CHECK(statistics.sum == expected.sum);
      CHECK(std::equal(statistics.sum_of_squares.begin(), statistics.sum_of_squares.end(),
                       expected.sum_of_squares.begin(), expected.sum_of_squares.end()));
      CHECK(statistics.min == expected.min);
      CHECK(statistics.max == expected.max);
    }
  }
}

TEST_CASE("accumulator statistics: exact for full and partial blocks and any threads") {
  for (const int64_t oc : {1, 7, 16, 31, 32, 33, 64}) {
    Conv2dCase c;
    c.n = 5;
    c.ih = 9;
    c.iw = 13;
    c.group_oc = oc;
    expect_exact_statistics(c);
  }
}

TEST_CASE("accumulator statistics: depthwise, and groups") {
  Conv2dCase c;
  c.ih = c.iw = 20;
  c.groups = 40;
  c.group_ic = c.group_oc = 1;
  expect_exact_statistics(c);
  c.groups = 2;
  c.group_ic = 3;
  c.group_oc = 33;
  expect_exact_statistics(c);
}

TEST_CASE("accumulator statistics: sums that pass 32 bits, squares that pass 64") {
  Conv2dCase c;
  c.n = 4;
  c.ih = c.iw = 12;
  c.padding = {};
  c.group_ic = 7;
  c.input_type = kInt16;
  c.weight_type = kInt16;
  c.input_fill = c.weight_fill = Fill::lowest;
  c.kh = c.kw = 1;
  SUBCASE("a wrapping 32-bit accumulator: 7 * 2^30 is -2^30") {}
  SUBCASE("a wide accumulator holds 7 * 2^30, the norm runs") { c.accumulator.bits = 64; }
  SUBCASE("one product of 2^30, exact in 32 bits") {
    c.group_ic = 1;
    c.has_bias = false;
  }
  expect_exact_statistics(c);
}

}  // namespace
}  // namespace facsim::sim
