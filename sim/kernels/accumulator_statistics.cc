// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/accumulator_statistics.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "sim/kernels/accumulator_statistics-internal.h"
#include "sim/kernels/conv2d_tile-internal.h"
#include "sim/kernels/dispatch-internal.h"

#ifndef FACSIM_SIM_KERNELS_ACCUMULATOR_STATISTICS_ONCE
#define FACSIM_SIM_KERNELS_ACCUMULATOR_STATISTICS_ONCE
namespace facsim::sim {
/// What a few pixels sum to without leaving 32 or 64 bits.
struct PartialStatistics {
  int32_t sum[kMaxBlockChannels];
  uint64_t sum_of_squares[kMaxBlockChannels];
  int32_t min[kMaxBlockChannels], max[kMaxBlockChannels];
};
}  // namespace facsim::sim
#endif

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

void partial_statistics(const int32_t* acc, int64_t stride, int64_t pixels, int64_t channels,
                        PartialStatistics& out) {
  for (int64_t c = 0; c < channels; ++c) {
    int64_t sum = 0;
    uint64_t squares = 0;
    int32_t min = INT32_MAX, max = INT32_MIN;
    for (int64_t p = 0; p < pixels; ++p) {
      const int64_t v = acc[p * stride + c];
      sum += v;
      squares += static_cast<uint64_t>(v * v);
      min = std::min(min, acc[p * stride + c]);
      max = std::max(max, acc[p * stride + c]);
    }
    out.sum[c] = static_cast<int32_t>(sum);
    out.sum_of_squares[c] = squares;
    out.min[c] = min;
    out.max[c] = max;
  }
}

#else

void partial_statistics(const int32_t* acc, int64_t stride, int64_t pixels, int64_t channels,
                        PartialStatistics& out) {
  const hn::CappedTag<int32_t, 16> d;
  const hn::Repartition<int64_t, decltype(d)> d64;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t c = 0; c < channels; c += lanes) {
    auto sum = hn::Zero(d);
    auto even = hn::Zero(d64);  // squares of lanes 0, 2, …
    auto odd = hn::Zero(d64);
    auto min = hn::Set(d, INT32_MAX);
    auto max = hn::Set(d, INT32_MIN);
    for (int64_t p = 0; p < pixels; ++p) {
      const auto v = hn::LoadU(d, acc + p * stride + c);
      sum = hn::Add(sum, v);
      min = hn::Min(min, v);
      max = hn::Max(max, v);
      const auto upper = hn::BitCast(
          d, hn::ShiftRight<32>(hn::BitCast(hn::Repartition<uint64_t, decltype(d)>(), v)));
      even = hn::Add(even, hn::MulEven(v, v));
      odd = hn::Add(odd, hn::MulEven(upper, upper));
    }
    hn::StoreU(sum, d, out.sum + c);
    hn::StoreU(min, d, out.min + c);
    hn::StoreU(max, d, out.max + c);
    int64_t evens[8], odds[8];
    hn::StoreU(even, d64, evens);
    hn::StoreU(odd, d64, odds);
    for (int64_t i = 0; i < lanes / 2; ++i) {
      out.sum_of_squares[c + 2 * i] = static_cast<uint64_t>(evens[i]);
      out.sum_of_squares[c + 2 * i + 1] = static_cast<uint64_t>(odds[i]);
    }
  }
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
namespace {

HWY_EXPORT(partial_statistics);

/// Pixels whose sum of |acc| fits 31 bits and whose sum of squares 64.
int64_t pixels_per_part(int64_t magnitude) {
  const int64_t m = std::max<int64_t>(1, magnitude);
  if (m > INT32_MAX) return 1;
  return std::max<int64_t>(1, std::min(INT32_MAX / m, INT64_MAX / (m * m)));
}

}  // namespace

AccumulatorStatistics empty_statistics(int64_t channels) {
  const size_t n = static_cast<size_t>(channels);
  return {std::vector<int64_t>(n), std::vector<int128>(n), std::vector<int64_t>(n, INT64_MAX),
          std::vector<int64_t>(n, INT64_MIN)};
}

AccumulatorStatistics block_statistics(const int32_t* acc, int64_t stride, int64_t pixels,
                                       int64_t channels, int64_t magnitude, Isa isa) {
  AccumulatorStatistics statistics = empty_statistics(channels);
  const auto partial = HWY_DISPATCH_TABLE(partial_statistics)[highway_dispatch_index(isa)];
  const int64_t part = pixels_per_part(magnitude);
  PartialStatistics sums;
  for (int64_t p = 0; p < pixels; p += part) {
    partial(acc + p * stride, stride, std::min(part, pixels - p), channels, sums);
    for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
      statistics.sum[c] += sums.sum[c];
      statistics.sum_of_squares[c] += static_cast<int128>(sums.sum_of_squares[c]);
      statistics.min[c] = std::min<int64_t>(statistics.min[c], sums.min[c]);
      statistics.max[c] = std::max<int64_t>(statistics.max[c], sums.max[c]);
    }
  }
  return statistics;
}

AccumulatorStatistics row_statistics(std::span<const int64_t> acc, int64_t channels) {
  AccumulatorStatistics statistics = empty_statistics(channels);
  for (size_t i = 0; i < acc.size(); ++i) {
    const size_t c = i % static_cast<size_t>(channels);
    statistics.sum[c] += acc[i];
    statistics.sum_of_squares[c] += static_cast<int128>(acc[i]) * acc[i];
    statistics.min[c] = std::min(statistics.min[c], acc[i]);
    statistics.max[c] = std::max(statistics.max[c], acc[i]);
  }
  return statistics;
}

void merge_statistics(const AccumulatorStatistics& from, int64_t first_channel,
                      AccumulatorStatistics& into) {
  for (size_t c = 0; c < from.sum.size(); ++c) {
    const size_t to = static_cast<size_t>(first_channel) + c;
    into.sum[to] += from.sum[c];
    into.sum_of_squares[to] += from.sum_of_squares[c];
    into.min[to] = std::min(into.min[to], from.min[c]);
    into.max[to] = std::max(into.max[to], from.max[c]);
  }
}

}  // namespace facsim::sim
#endif
