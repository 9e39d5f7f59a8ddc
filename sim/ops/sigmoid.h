// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "sim/ops/unary_codes.h"

namespace facsim::sim {

/// Sigmoid over [0, 10.625] in unsigned Q16, each entry moved by half the error that interpolating
/// to the next one makes in the middle: with S(x) = 65536 / (1 + exp(-x)) and h = 1 / 24,
///   T[i] = round(S(i h) - ((S(i h) + S((i + 1) h)) / 2 - S((i + 1/2) h)) / 2), T[255] = 65535.
/// Source: the numbers are those of TFLite common.cc and CMSIS-NN arm_nntables.c
/// (sigmoid_table_uint16); the formula, found from them, gives all 256.
const std::array<uint16_t, 256>& sigmoid_table();

/// Sigmoid and tanh of a code by the table, interpolated between its entries. `x` is the real input
/// in steps of 1 / (3 * 4096), |x| < 2^31; the result is a Q15 code.
///   sigmoid: u = |x| in steps of 512 and t / 512 between two of them
///     r = T[u] * 512 + t * (T[u + 1] - T[u]), 0x7fff * 1024 for u >= 255
///     y = (r + 512) >> 10 for x >= 0, else (2^25 - r + 511) >> 10
///   tanh(x) = 2 sigmoid(2 x) - 1: steps of 256
///     r = T[u] * 256 + t * (T[u + 1] - T[u]), 0xffff * 256 for u >= 255
///     y = (r - 2^23 + 128) >> 8 for x >= 0, else (2^23 - r + 127) >> 8
/// Source: TFLite reference/integer_ops/logistic.h and tanh.h (int16), CMSIS-NN
/// arm_nn_activation_s16.c.
int32_t sigmoid_by_table(int64_t x);
int32_t tanh_by_table(int64_t x);

/// Sigmoid or tanh of codes.
///
/// gemmlowp_q4 (8-bit codes): v = code - zero_point; the type's minimum for v <= -radius, its
/// maximum for v >= radius, else y = gemmlowp's logistic or tanh of scale(v) as Q4.27, a Q0.31,
/// rounded half_away_from_zero to 8 (tanh: 7) fraction bits, plus the minimum (tanh: the middle) of
/// the type, saturated. Output scale 1/256 (tanh 1/128).
///
/// table_u16 (int16 codes, zero point 0): x = scale(code), then by the table. Output scale 1/32768.
struct SigmoidParams {
  enum class Function { sigmoid, tanh };
  enum class Algorithm { gemmlowp_q4, table_u16 };
  Function function = Function::sigmoid;
  Algorithm algorithm = Algorithm::gemmlowp_q4;
  IntType type = kInt8;  ///< of input and output
  int64_t zero_point = 0;
  int64_t radius = 0;  ///< gemmlowp_q4: 0..2^31-1
  Requantizer scale;   ///< to int32, one channel
};
class Sigmoid final : public UnaryCodes {
 public:
  /// Error unsupported for a type the algorithm has not; bad_value for a radius or a program
  /// outside what is said above.
  explicit Sigmoid(SigmoidParams params);
  std::string_view kind() const override;
  const SigmoidParams& params() const { return params_; }

 private:
  int64_t evaluate(int64_t code, Events& events, std::vector<TracedStep>* steps) const override;
  int64_t gemmlowp_q4(int64_t value, Events& events, std::vector<TracedStep>* steps) const;

  SigmoidParams params_;
};

}  // namespace facsim::sim
