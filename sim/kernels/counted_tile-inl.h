// SPDX-License-Identifier: Apache-2.0
// What the convolution kernels share whose sums may leave their width: storing and counting, and
// the loop over a tile.
#if defined(FACSIM_SIM_KERNELS_COUNTED_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FACSIM_SIM_KERNELS_COUNTED_TILE_INL_H_
#undef FACSIM_SIM_KERNELS_COUNTED_TILE_INL_H_
#else
#define FACSIM_SIM_KERNELS_COUNTED_TILE_INL_H_
#endif

#include "sim/kernels/conv2d_tile-internal.h"
#include "sim/kernels/multiply_pairs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

/// Writes the accumulators of channels `first`.. of one pixel of the group. Where sum.changed is
/// not 0 an element left its width; channels beyond the job's do not count.
template <bool CountEvents, class Sum>
HWY_INLINE void store_sum(const TileJob& job, const PixelGroup& group, int64_t pixel,
                          const Sum& sum, int64_t first) {
  if (pixel >= group.count) return;
  const Lanes32 d;
  hn::StoreU(sum.acc, d, group.acc + pixel * job.acc_stride + first);
  if constexpr (CountEvents) {
    int32_t changed[16];
    hn::StoreU(sum.changed, d, changed);
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    for (int64_t i = 0; i < lanes && first + i < job.channels; ++i) {
      *job.overflow_count += changed[i] != 0 ? 1 : 0;
    }
  }
}

/// Tile::run<CountEvents>(job, group, channel) for every group of pixels and two vectors of
/// channels; events are counted if the job has where.
template <class Tile, bool CountEvents>
void run_groups(const TileJob& job) {
  const int64_t step = 2 * static_cast<int64_t>(hn::Lanes(Lanes32()));
  for (int64_t channel = 0; channel < job.channels; channel += step) {
    for (int64_t g = 0; g < job.group_count; ++g) {
      Tile::template run<CountEvents>(job, job.groups[g], channel);
    }
  }
}
template <class Tile>
void run_counted_tile(const TileJob& job) {
  if (job.overflow_count != nullptr) {
    run_groups<Tile, true>(job);
  } else {
    run_groups<Tile, false>(job);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#endif
