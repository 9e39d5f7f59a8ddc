// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/conv2d_ordered.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "sim/core/check.h"
#include "sim/kernels/conv2d_tile-internal.h"
#include "sim/kernels/counted_tile-inl.h"
#include "sim/kernels/multiply_pairs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

struct Bounds32 {
  Vec32 min, max;
};

// The policies of sim/overflow/ on lanes: Highway's operations can only be called from functions
// compiled for their target, so the scalar definitions cannot be instantiated here. Tests compare
// every one with the norm.

/// saturate, and saturate_symmetric with its narrower bounds.
struct ClampPolicy {
  static HWY_INLINE Vec32 bring(Lanes32, Vec32 v, const Bounds32& b) {
    return hn::Min(hn::Max(v, b.min), b.max);
  }
};
/// saturate_zero.
struct ZeroPolicy {
  static HWY_INLINE Vec32 bring(Lanes32, Vec32 v, const Bounds32& b) {
    return hn::IfThenZeroElse(hn::Or(hn::Lt(v, b.min), hn::Gt(v, b.max)), v);
  }
};

/// One vector of accumulators.
template <class Policy, bool CountEvents>
struct OrderedSum {
  Vec32 acc;
  Vec32 changed;  // bits that the policy ever changed; 0 where no addition left the width

  HWY_INLINE void add(Lanes32 d, Vec32 addend, const Bounds32& bounds) {
    const auto sum = hn::Add(acc, addend);
    acc = Policy::bring(d, sum, bounds);
    if constexpr (CountEvents) changed = hn::Or(changed, hn::Xor(acc, sum));
  }
  HWY_INLINE void start(Lanes32 d, Vec32 init, const Bounds32& bounds) {
    acc = changed = hn::Zero(d);
    add(d, init, bounds);
  }
};

/// Four pixels by two vectors of channels, as in the pairs kernel.
template <class Policy, bool CountEvents>
HWY_INLINE void ordered_group(const TileJob& job, const PixelGroup& group, int64_t channel) {
  const Lanes32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const Bounds32 bounds{hn::Set(d, static_cast<int32_t>(job.accumulator.min())),
                        hn::Set(d, static_cast<int32_t>(job.accumulator.max()))};
  const int32_t* weights = reinterpret_cast<const int32_t*>(job.weights) + channel;
  OrderedSum<Policy, CountEvents> s00, s01, s10, s11, s20, s21, s30, s31;
  const auto add_all = [&](Vec32 first, Vec32 second) HWY_ATTR {
    s00.add(d, first, bounds), s01.add(d, second, bounds);
    s10.add(d, first, bounds), s11.add(d, second, bounds);
    s20.add(d, first, bounds), s21.add(d, second, bounds);
    s30.add(d, first, bounds), s31.add(d, second, bounds);
  };
  const auto zero = hn::Zero(d);
  const auto init0 = hn::LoadU(d, job.init + channel);
  const auto init1 = hn::LoadU(d, job.init + channel + lanes);
  s00.start(d, init0, bounds), s01.start(d, init1, bounds);
  s10.start(d, init0, bounds), s11.start(d, init1, bounds);
  s20.start(d, init0, bounds), s21.start(d, init1, bounds);
  s30.start(d, init0, bounds), s31.start(d, init1, bounds);
  const int64_t stride = job.pixel_stride;
  for (int64_t r = 0; r < job.runs; ++r) {
    const uint8_t* x = group.x + job.run_offset[r];
    // The weight's high half is zero, so the neighbour in the broadcast pair does not count.
    for (int64_t s = 0; s < job.steps; ++s, x += 2, weights += kTileChannels) {
      const auto w0 = hn::LoadU(d, weights);
      const auto w1 = hn::LoadU(d, weights + lanes);
      const auto x0 = broadcast_pair(d, x);
      s00.add(d, multiply_pairs(d, x0, w0, zero), bounds);
      s01.add(d, multiply_pairs(d, x0, w1, zero), bounds);
      const auto x1 = broadcast_pair(d, x + stride);
      s10.add(d, multiply_pairs(d, x1, w0, zero), bounds);
      s11.add(d, multiply_pairs(d, x1, w1, zero), bounds);
      const auto x2 = broadcast_pair(d, x + 2 * stride);
      s20.add(d, multiply_pairs(d, x2, w0, zero), bounds);
      s21.add(d, multiply_pairs(d, x2, w1, zero), bounds);
      const auto x3 = broadcast_pair(d, x + 3 * stride);
      s30.add(d, multiply_pairs(d, x3, w0, zero), bounds);
      s31.add(d, multiply_pairs(d, x3, w1, zero), bounds);
    }
  }
  add_all(hn::LoadU(d, job.bias_last + channel), hn::LoadU(d, job.bias_last + channel + lanes));
  const int64_t second = channel + lanes;
  store_sum<CountEvents>(job, group, 0, s00, channel);
  store_sum<CountEvents>(job, group, 0, s01, second);
  store_sum<CountEvents>(job, group, 1, s10, channel);
  store_sum<CountEvents>(job, group, 1, s11, second);
  store_sum<CountEvents>(job, group, 2, s20, channel);
  store_sum<CountEvents>(job, group, 2, s21, second);
  store_sum<CountEvents>(job, group, 3, s30, channel);
  store_sum<CountEvents>(job, group, 3, s31, second);
}

template <class Policy>
struct OrderedTile {
  template <bool CountEvents>
  static HWY_INLINE void run(const TileJob& job, const PixelGroup& group, int64_t channel) {
    ordered_group<Policy, CountEvents>(job, group, channel);
  }
};

int64_t ordered_tile(const TileJob& job) {
  switch (job.accumulator.overflow) {
    case Overflow::saturate:
    case Overflow::saturate_symmetric:
      run_counted_tile<OrderedTile<ClampPolicy>>(job);
      break;
    case Overflow::saturate_zero:
      run_counted_tile<OrderedTile<ZeroPolicy>>(job);
      break;
    case Overflow::wrap:  // choose_conv2d_kernel gives these to the other kernels and to the norm
    case Overflow::error:
      FACSIM_CHECK(false);
  }
  return HWY_TARGET;
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(ordered_tile);
TileKernel conv2d_ordered_tile(size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(ordered_tile)[dispatch_index];
}
}  // namespace facsim::sim
#endif
