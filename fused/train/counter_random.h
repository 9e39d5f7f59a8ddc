// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/core/wide.h"

namespace facsim::fused::train {

/// Random numbers by position instead of by state: the i-th value depends only on (seed, stream,
/// i), so that any thread or resumed run finds the same one. SplitMix64 (Steele, Lea, Flood, "Fast
/// splittable pseudorandom number generators", 2014) with the counter as its state.
class CounterRandom {
 public:
  CounterRandom(uint64_t seed, uint64_t stream) : key_(mix(seed + kGamma) ^ mix(~stream)) {}

  uint64_t bits(uint64_t i) const { return mix(key_ + (i + 1) * kGamma); }
  /// Uniform in [0, n), n >= 1, by the high half of the product; the bias is below n / 2^64.
  uint64_t below(uint64_t i, uint64_t n) const {
    return static_cast<uint64_t>((static_cast<sim::uint128>(bits(i)) * n) >> 64);
  }

 private:
  static constexpr uint64_t kGamma = 0x9e3779b97f4a7c15;
  static constexpr uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t key_;
};

}  // namespace facsim::fused::train
