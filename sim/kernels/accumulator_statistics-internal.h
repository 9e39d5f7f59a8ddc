// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "sim/kernels/isa.h"
#include "sim/ops/conv2d.h"

namespace facsim::sim {

/// Statistics of no accumulators.
AccumulatorStatistics empty_statistics(int64_t channels);

/// Exact statistics of accumulators [pixels][channels], int32s `stride` apart, stride and channels
/// <= kMaxBlockChannels of them, readable to the end of a vector in every pixel. `magnitude`: no
/// |acc| is larger; small ones let more pixels be summed before widening. `isa` is resolved (not
/// best).
AccumulatorStatistics block_statistics(const int32_t* acc, int64_t stride, int64_t pixels,
                                       int64_t channels, int64_t magnitude, Isa isa);

/// The same for accumulators [pixels][channels] of any width and number.
AccumulatorStatistics row_statistics(std::span<const int64_t> acc, int64_t channels);

/// Adds the statistics of a few channels to those of [first_channel, …).
void merge_statistics(const AccumulatorStatistics& from, int64_t first_channel,
                      AccumulatorStatistics& into);

}  // namespace facsim::sim
