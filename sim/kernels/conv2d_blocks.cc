// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/conv2d_blocks.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "sim/kernels/conv2d_tile-internal.h"
#include "sim/kernels/counted_tile-inl.h"
#include "sim/kernels/multiply_pairs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

struct BlockBounds {
  Vec32 min, max;
};

/// One vector of accumulators that take pairs of products, each saturated first; with Spill through
/// a register that saturates as well.
template <bool CountEvents, bool Spill>
struct BlockSum {
  Vec32 acc;
  Vec32 partial;  // only Spill
  Vec32 changed;  // bits that saturation ever changed

  HWY_INLINE void start(Lanes32 d, Vec32 init) {
    acc = init;
    partial = changed = hn::Zero(d);
  }
  HWY_INLINE Vec32 saturated(Vec32 v, const BlockBounds& b) {
    const auto result = hn::Min(hn::Max(v, b.min), b.max);
    if constexpr (CountEvents) changed = hn::Or(changed, hn::Xor(result, v));
    return result;
  }
  HWY_INLINE void add(Lanes32 d, Vec32 x, Vec32 w, const BlockBounds& b) {
    const auto block = saturated(multiply_pairs(d, x, w, hn::Zero(d)), b);
    if constexpr (Spill) {
      partial = saturated(hn::Add(partial, block), b);
    } else {
      acc = hn::Add(acc, block);
    }
  }
  HWY_INLINE void spill(Lanes32 d) {
    acc = hn::Add(acc, partial);
    partial = hn::Zero(d);
  }
};

/// Four pixels by two vectors of channels, as in the pairs kernel.
template <bool CountEvents, bool Spill>
HWY_INLINE void blocks_group(const TileJob& job, const PixelGroup& group, int64_t channel) {
  const Lanes32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const BlockBounds bounds{hn::Set(d, static_cast<int32_t>(job.block_min)),
                           hn::Set(d, static_cast<int32_t>(job.block_max))};
  const int32_t* weights = reinterpret_cast<const int32_t*>(job.weights) + channel;
  BlockSum<CountEvents, Spill> s00, s01, s10, s11, s20, s21, s30, s31;
  const auto init0 = hn::LoadU(d, job.init + channel);
  const auto init1 = hn::LoadU(d, job.init + channel + lanes);
  s00.start(d, init0), s01.start(d, init1), s10.start(d, init0), s11.start(d, init1);
  s20.start(d, init0), s21.start(d, init1), s30.start(d, init0), s31.start(d, init1);
  const auto spill_all = [&]() HWY_ATTR {
    s00.spill(d), s01.spill(d), s10.spill(d), s11.spill(d);
    s20.spill(d), s21.spill(d), s30.spill(d), s31.spill(d);
  };
  int64_t until_spill = job.spill_steps;
  const int64_t stride = job.pixel_stride;
  for (int64_t r = 0; r < job.runs; ++r) {
    const uint8_t* x = group.x + job.run_offset[r];
    for (int64_t s = 0; s < job.steps; ++s, x += 4, weights += kTileChannels) {
      const auto w0 = hn::LoadU(d, weights);
      const auto w1 = hn::LoadU(d, weights + lanes);
      const auto x0 = broadcast_pair(d, x);
      s00.add(d, x0, w0, bounds), s01.add(d, x0, w1, bounds);
      const auto x1 = broadcast_pair(d, x + stride);
      s10.add(d, x1, w0, bounds), s11.add(d, x1, w1, bounds);
      const auto x2 = broadcast_pair(d, x + 2 * stride);
      s20.add(d, x2, w0, bounds), s21.add(d, x2, w1, bounds);
      const auto x3 = broadcast_pair(d, x + 3 * stride);
      s30.add(d, x3, w0, bounds), s31.add(d, x3, w1, bounds);
      if constexpr (Spill) {
        if (--until_spill == 0) {
          spill_all();
          until_spill = job.spill_steps;
        }
      }
    }
  }
  if constexpr (Spill) spill_all();
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

template <bool Spill>
struct BlocksTile {
  template <bool CountEvents>
  static HWY_INLINE void run(const TileJob& job, const PixelGroup& group, int64_t channel) {
    blocks_group<CountEvents, Spill>(job, group, channel);
  }
};

int64_t blocks_tile(const TileJob& job) {
  if (job.spill_steps > 0) {
    run_counted_tile<BlocksTile<true>>(job);
  } else {
    run_counted_tile<BlocksTile<false>>(job);
  }
  return HWY_TARGET;
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(blocks_tile);
TileKernel conv2d_blocks_tile(size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(blocks_tile)[dispatch_index];
}
}  // namespace facsim::sim
#endif
