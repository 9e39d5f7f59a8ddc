// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/kernels/requantize.h"
#include "sim/requantize/requantizer.h"

namespace facsim::bench {

/// A per-channel requantization to time, with what one convolution layer would give it.
struct RequantizeCase {
  std::string name;
  sim::Requantizer norm;
  sim::RequantizeKernel kernel;
  std::vector<int32_t> acc;  ///< [kRequantizeRows, kRequantizeChannels]
};

inline constexpr int64_t kRequantizeChannels = 64;
inline constexpr int64_t kRequantizeRows = 128;  ///< 8K accumulators: 32 KiB

/// One case for every fused form, and programs of eight steps that only the block interpreter runs.
std::vector<RequantizeCase> requantize_cases();

}  // namespace facsim::bench
