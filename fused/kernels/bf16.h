// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "fused/kernels/tiles.h"

namespace facsim::fused::kernels {

// grad=bf16: the products of a backward pass in bfloat16, its sums in float32. A word is a pair of
// bfloat16, the first in the low half; tiles.h's structures hold words where they say floats.

/// The nearest bfloat16, ties to even; overflows to infinity, keeps a NaN one.
inline uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float from_bf16(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

/// One step of every sum: acc + a.second * b.second, rounded once to nearest even, then
/// + a.first * b.first likewise. Subnormal operands and results are 0.
/// Source: Intel SDM, VDPBF16PS; the tests compare the kernels with this.
inline float dot_pair(float acc, uint32_t a, uint32_t b) {
  const auto flushed = [](float v) {
    return std::fpclassify(v) == FP_SUBNORMAL ? std::copysign(0.0f, v) : v;
  };
  const auto add = [&](float sum, uint32_t x, uint32_t y) {
    const float f = flushed(from_bf16(static_cast<uint16_t>(x)));
    const float g = flushed(from_bf16(static_cast<uint16_t>(y)));
    return flushed(std::fma(f, g, flushed(sum)));
  };
  return add(add(acc, a >> 16, b >> 16), a, b);
}

/// This CPU and build have the kernels below (AVX-512 BF16).
bool bf16_supported();

constexpr int64_t kBf16Block = 32;  ///< output channels of one weight block

/// As convolve and accumulate_gradient of tiles.h, over words: sums of dot_pair in their order.
/// Channels must be readable up to whole blocks of 16.
void convolve_bf16(const ConvTiles& tiles);
void accumulate_gradient_bf16(const GradientTiles& tiles);

}  // namespace facsim::fused::kernels
