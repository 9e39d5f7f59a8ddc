// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/conv2d_pairs.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "sim/kernels/conv2d_tile-internal.h"
#include "sim/kernels/multiply_pairs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

/// Four pixels by two vectors of channels: eight accumulators, which hide the latency of the
/// additions and leave six loads to sixteen operations; sixteen registers suffice.
void pairs_group(const TileJob& job, const PixelGroup& group, int64_t channel) {
  const Lanes32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int32_t* weights = reinterpret_cast<const int32_t*>(job.weights) + channel;
  const auto init0 = hn::LoadU(d, job.init + channel);
  const auto init1 = hn::LoadU(d, job.init + channel + lanes);
  auto a00 = init0, a10 = init0, a20 = init0, a30 = init0;
  auto a01 = init1, a11 = init1, a21 = init1, a31 = init1;
  const int64_t stride = job.pixel_stride;
  for (int64_t r = 0; r < job.runs; ++r) {
    const uint8_t* x = group.x + job.run_offset[r];
    for (int64_t s = 0; s < job.steps; ++s, x += 4, weights += kTileChannels) {
      const auto w0 = hn::LoadU(d, weights);
      const auto w1 = hn::LoadU(d, weights + lanes);
      const auto x0 = broadcast_pair(d, x);
      a00 = multiply_pairs(d, x0, w0, a00);
      a01 = multiply_pairs(d, x0, w1, a01);
      const auto x1 = broadcast_pair(d, x + stride);
      a10 = multiply_pairs(d, x1, w0, a10);
      a11 = multiply_pairs(d, x1, w1, a11);
      const auto x2 = broadcast_pair(d, x + 2 * stride);
      a20 = multiply_pairs(d, x2, w0, a20);
      a21 = multiply_pairs(d, x2, w1, a21);
      const auto x3 = broadcast_pair(d, x + 3 * stride);
      a30 = multiply_pairs(d, x3, w0, a30);
      a31 = multiply_pairs(d, x3, w1, a31);
    }
  }
  const auto store = [&](int64_t pixel, Vec32 v0, Vec32 v1) HWY_ATTR {
    if (pixel >= group.count) return;
    int32_t* out = group.acc + pixel * job.acc_stride + channel;
    hn::StoreU(v0, d, out);
    hn::StoreU(v1, d, out + lanes);
  };
  store(0, a00, a01);
  store(1, a10, a11);
  store(2, a20, a21);
  store(3, a30, a31);
}

int64_t pairs_tile(const TileJob& job) {
  const int64_t step = 2 * static_cast<int64_t>(hn::Lanes(Lanes32()));
  for (int64_t channel = 0; channel < job.channels; channel += step) {
    for (int64_t g = 0; g < job.group_count; ++g) pairs_group(job, job.groups[g], channel);
  }
  return HWY_TARGET;
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(pairs_tile);
TileKernel conv2d_pairs_tile(size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(pairs_tile)[dispatch_index];
}
}  // namespace facsim::sim
#endif
