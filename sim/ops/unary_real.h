// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "sim/ops/unary_codes.h"

namespace facsim::sim {

/// A function of one real number, as a platform computes it in float32: one rounding per operation
/// written. `exp` and `tanh` are the float32 nearest to their float64 values.
enum class RealFunction {
  /// x >= 0 ? x : x * alpha. Source: ONNX Runtime contrib QLinearLeakyRelu; XNNPACK (2022)
  /// lut-elementwise-nc.c.
  leaky_relu,
  /// 1 / (1 + exp(-x)) for a negative sign, else 1 - 1 / (1 + exp(x)). Source: XNNPACK
  /// lut-elementwise-nc.c.
  sigmoid_exp,
  /// With c = min(max(x, -18), 18) and s = c * c: 0.5 + c * P(s) / Q(s), at least 0; P of degree 4
  /// and Q of degree 5 by Horner's rule, each step one fused multiply-add. Source: ONNX Runtime
  /// mlas logistic.cpp (the coefficients) and LogisticKernelFma3.S (the operations).
  sigmoid_rational_fma,
  /// tanh(x). Source: XNNPACK lut-elementwise-nc.c.
  tanh,
};
std::string_view to_string(RealFunction function);

/// The function's float32 value. `alpha`: of leaky_relu.
float apply_real_function(RealFunction function, float x, float alpha);

/// out = output(f(f32(code - zero_point) * scale)): each code dequantized, passed through a
/// function in float32 and quantized again. Platforms keep the results in a table of 256 entries.
/// Source: ONNX Runtime contrib qlinear_lookup_table.cc, XNNPACK lut-elementwise-nc.c.
struct UnaryRealParams {
  RealFunction function = RealFunction::leaky_relu;
  IntType input_type = kInt8;  ///< of at most 16 bits
  int64_t zero_point = 0;
  float scale = 1;
  float alpha = 0;
  Requantizer output;  ///< a program over float32, one channel
};
class UnaryReal final : public UnaryCodes {
 public:
  /// Error bad_value for a scale that is not finite and > 0, an alpha that is not finite, or
  /// another kind of program.
  explicit UnaryReal(UnaryRealParams params);
  std::string_view kind() const override { return "unary_real"; }
  const UnaryRealParams& params() const { return params_; }

 private:
  int64_t evaluate(int64_t code, Events& events, std::vector<TracedStep>* steps) const override;

  UnaryRealParams params_;
};

}  // namespace facsim::sim
