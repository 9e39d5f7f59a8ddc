// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/conv2d_depthwise.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "sim/kernels/conv2d_tile-internal.h"
#include "sim/kernels/multiply_pairs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

/// One lane's worth of channels as 32-bit lanes: the high half is the sign, which the zero high
/// half of the weight multiplies away.
HWY_INLINE Vec32 load_channels(Lanes32 d, const uint8_t* x) {
  const hn::Rebind<int16_t, Lanes32> d16;
  return hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const int16_t*>(x)));
}

/// Four pixels by one vector of channels.
void depthwise_group(const TileJob& job, const PixelGroup& group, int64_t channel) {
  const Lanes32 d;
  const int32_t* weights = reinterpret_cast<const int32_t*>(job.weights) + channel;
  const auto init = hn::LoadU(d, job.init + channel);
  auto a0 = init, a1 = init, a2 = init, a3 = init;
  const int64_t stride = job.pixel_stride;
  for (int64_t r = 0; r < job.runs; ++r, weights += kTileChannels) {
    const uint8_t* x = group.x + job.run_offset[r] + 2 * channel;
    const auto w = hn::LoadU(d, weights);
    a0 = multiply_pairs(d, load_channels(d, x), w, a0);
    a1 = multiply_pairs(d, load_channels(d, x + stride), w, a1);
    a2 = multiply_pairs(d, load_channels(d, x + 2 * stride), w, a2);
    a3 = multiply_pairs(d, load_channels(d, x + 3 * stride), w, a3);
  }
  const auto store = [&](int64_t pixel, Vec32 v) HWY_ATTR {
    if (pixel < group.count) hn::StoreU(v, d, group.acc + pixel * job.acc_stride + channel);
  };
  store(0, a0);
  store(1, a1);
  store(2, a2);
  store(3, a3);
}

int64_t depthwise_tile(const TileJob& job) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(Lanes32()));
  for (int64_t g = 0; g < job.group_count; ++g) {
    for (int64_t channel = 0; channel < job.channels; channel += lanes) {
      depthwise_group(job, job.groups[g], channel);
    }
  }
  return HWY_TARGET;
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(depthwise_tile);
TileKernel conv2d_depthwise_tile(size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(depthwise_tile)[dispatch_index];
}
}  // namespace facsim::sim
#endif
