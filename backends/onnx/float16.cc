// SPDX-License-Identifier: Apache-2.0
#include <bit>

#include "backends/onnx/onnx_tensor-internal.h"

namespace facsim::backends::detail {

namespace {

constexpr uint32_t kMagnitude = 0x7fffffff;
constexpr uint32_t kInfinity = 0x7f800000;

/// bits >> shift, rounded half even.
uint32_t shifted_half_even(uint32_t bits, int shift) {
  const uint32_t half = (uint32_t{1} << (shift - 1)) - 1;
  return (bits + half + (bits >> shift & 1)) >> shift;
}

}  // namespace

float from_bfloat16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & kMagnitude) > kInfinity) return static_cast<uint16_t>(bits >> 16 | 0x40);  // NaN
  return static_cast<uint16_t>(shifted_half_even(bits, 16));
}

float from_float16(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000u} << 16;
  const uint32_t exponent = bits >> 10 & 0x1f;
  const uint32_t fraction = bits & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | kInfinity | fraction << 13);
  if (exponent != 0) {
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  }
  const float magnitude = static_cast<float>(fraction) * 0x1p-24f;  // exact
  return sign != 0 ? -magnitude : magnitude;
}

uint16_t to_float16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & kMagnitude;
  uint32_t half = 0;
  if (magnitude > kInfinity) {
    half = 0x7e00 | (magnitude >> 13 & 0x1ff);
  } else if (magnitude >= 0x477ff000) {  // 65520 and above round to infinity
    half = 0x7c00;
  } else if (magnitude >= 0x38800000) {  // normal: 2^-14 and above
    half = shifted_half_even(magnitude - (uint32_t{112} << 23), 13);
  } else if (magnitude >= 0x33000000) {  // 2^-25 and above
    const int shift = 126 - static_cast<int>(magnitude >> 23);
    half = shifted_half_even((magnitude & 0x7fffff) | 0x800000, shift);
  }
  return static_cast<uint16_t>(sign | half);
}

}  // namespace facsim::backends::detail
