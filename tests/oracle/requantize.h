// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

/// Requantizations the way their platforms write them, in plain C with branches: independent of the
/// step programs that must equal them. Each returns the output code for one accumulator.
namespace facsim::oracle {

struct OutputStage {
  int64_t zero_point, clamp_min, clamp_max;
  int64_t operator()(int64_t y) const {
    return std::min(std::max(y + zero_point, clamp_min), clamp_max);
  }
};

inline int32_t wrap32(int64_t v) { return static_cast<int32_t>(static_cast<uint32_t>(v)); }

/// gemmlowp: the nudge has the sign of the product, the division truncates.
inline int32_t saturating_rounding_doubling_high_mul(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  const int64_t product = static_cast<int64_t>(a) * b;
  const int64_t nudge = product >= 0 ? 1 << 30 : 1 - (1 << 30);
  return static_cast<int32_t>((product + nudge) / (int64_t{1} << 31));
}

/// gemmlowp: remainder against a threshold that is one more for negative values.
inline int32_t rounding_divide_by_pot(int32_t x, int exponent) {
  const int64_t mask = (int64_t{1} << exponent) - 1;
  const int64_t remainder = x & mask;
  const int64_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return static_cast<int32_t>((x >> exponent) + (remainder > threshold ? 1 : 0));
}

/// TFLite MultiplyByQuantizedMultiplier, double rounding.
inline int32_t tflite_double(int32_t acc, int32_t multiplier, int left_shift, int right_shift) {
  const int32_t shifted = wrap32(static_cast<int64_t>(acc) * (int64_t{1} << left_shift));
  return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(shifted, multiplier),
                                right_shift);
}

/// gemmlowp: the left shift saturates.
inline int32_t gemmlowp_double(int32_t acc, int32_t multiplier, int left_shift, int right_shift) {
  const int64_t shifted = std::clamp<int64_t>(
      static_cast<int64_t>(acc) * (int64_t{1} << left_shift), INT32_MIN, INT32_MAX);
  return rounding_divide_by_pot(
      saturating_rounding_doubling_high_mul(static_cast<int32_t>(shifted), multiplier),
      right_shift);
}

/// TFLite single rounding, TOSA apply_scale_32 without double_round.
inline int32_t tflite_single(int64_t acc, int64_t multiplier, int shift) {
  const int64_t round = int64_t{1} << (shift - 1);
  return wrap32((acc * multiplier + round) >> shift);
}

/// CMSIS-NN arm_nn_requantize_s64: narrowed before the last bit is rounded away.
inline int32_t cmsis_s64(int64_t acc, int64_t reduced_multiplier, int shift) {
  const int32_t result = wrap32((acc * reduced_multiplier) >> shift);
  return wrap32(static_cast<int64_t>(result) + 1) >> 1;
}

/// XNNPACK fp32, ONNX Runtime: clamp in float, round to nearest even, add the zero point.
inline int64_t float_zero_point_after(int32_t acc, float scale, OutputStage out) {
  float v = static_cast<float>(acc) * scale;
  v = std::max(v, static_cast<float>(out.clamp_min - out.zero_point));
  v = std::min(v, static_cast<float>(out.clamp_max - out.zero_point));
  return std::lrint(v) + out.zero_point;
}

/// oneDNN: bias and zero point in float, rounded last.
inline int64_t float_zero_point_before(int32_t acc, float bias, float scale, OutputStage out) {
  float v = (static_cast<float>(acc) + bias) * scale;
  v += static_cast<float>(out.zero_point);
  v = std::max(v, static_cast<float>(out.clamp_min));
  v = std::min(v, static_cast<float>(out.clamp_max));
  return std::lrint(v);
}

/// ONNX's reference evaluator: the same in float64, without a bias.
inline int64_t float64_zero_point_before(int32_t acc, float scale, OutputStage out) {
  double v = acc * static_cast<double>(scale) + static_cast<double>(out.zero_point);
  v = std::max(v, static_cast<double>(out.clamp_min));
  v = std::min(v, static_cast<double>(out.clamp_max));
  return std::lrint(v);
}

/// NVDLA: half away from zero by adding half to the magnitude, 17-bit saturation.
inline int64_t nvdla_convert(int64_t acc, int64_t offset, int64_t multiplier, int shift) {
  const int64_t product = (acc - offset) * multiplier;
  const int64_t half = shift > 0 ? int64_t{1} << (shift - 1) : 0;
  const int64_t magnitude = ((product < 0 ? -product : product) + half) >> shift;
  return std::clamp<int64_t>(product < 0 ? -magnitude : magnitude, -65536, 65535);
}

/// XNNPACK rndnu16: a rounding pre-shift into 16 bits, then a Q15 product.
inline int32_t rndnu16(int32_t acc, int32_t multiplier, int shift) {
  const int64_t half = shift > 0 ? int64_t{1} << (shift - 1) : 0;
  const int64_t high = std::clamp<int64_t>((acc + half) >> shift, INT16_MIN, INT16_MAX);
  return static_cast<int16_t>((high * multiplier + (1 << 14)) >> 15);
}

}  // namespace facsim::oracle
