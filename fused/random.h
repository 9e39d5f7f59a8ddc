// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace facsim::fused {

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every platform, which the standard
/// library's distributions do not promise.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  float uniform(float low, float high) {
    return static_cast<float>(low + (static_cast<double>(high) - low) * uniform());
  }

 private:
  uint64_t state_;
};

}  // namespace facsim::fused
