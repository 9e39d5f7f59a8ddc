// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/op.h"

namespace facsim::sim {

/// Logarithmic 8-bit codes in 1/16 octaves: bit 7 is the sign, bits 0..6 the magnitude m, with a
/// tensor's offset z:
///   value = 2^((m + z) / 16), negative: -2^((m + z) / 16) for m > 0, 0 for m = 0 ("-0")
/// z = round(16 * log2(largest)) - 127, so that `largest` is near code 127.
/// From a real x: 2^((z - 16) / 16) < x gives m = clamp(round(16 log2 x) - z, 0, 127);
/// x < -2^((z - 15) / 16) the same of -x, clamped to 1..127; what is between, and NaN, is -0.
/// log2 and exp2 in float64, values then rounded to float32.
/// Source: HiSilicon NNIE as MQBench nnie.py NNIEQuantizeFunc and its documentation describe it.
struct Log2Code {
  int z = 0;

  /// Error bad_value for a largest value that is not a finite number > 0.
  static Log2Code of_largest(double largest);
  uint8_t quantize(float x) const;
  float dequantize(uint8_t code) const;
};

/// float32 to codes (kind log2_quantize) or codes to float32 (log2_dequantize), element by element.
struct Log2MapParams {
  enum class Direction { quantize, dequantize };
  Direction direction = Direction::quantize;
  Log2Code code;
};
class Log2Map final : public Op {
 public:
  explicit Log2Map(Log2MapParams params);
  std::string_view kind() const override;
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  std::optional<DType> input_dtype(int index) const override;
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  /// The result of a dequantization is the float32's bits.
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  const Log2MapParams& params() const { return params_; }

 private:
  bool quantizes() const { return params_.direction == Log2MapParams::Direction::quantize; }

  Log2MapParams params_;
  std::vector<float> values_;  ///< [256] of a dequantization
};

}  // namespace facsim::sim
