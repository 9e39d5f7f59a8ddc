// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/core/types.h"

namespace facsim::sim {

/// A DPU's activation function on codes of power-of-two scales ("fix positions"): real input = code
/// * 2^-input_position, real output = result * 2^-output_position, zero points 0.
struct VitisActivation {
  enum class Function { leaky_relu, sigmoid, tanh, hard_swish };
  Function function = Function::leaky_relu;
  int input_position = 0, output_position = 0;  ///< -16..31
  IntType output = kInt8;

  /// The result for one code of at most 16 bits, rounded half_up to the output's unit and
  /// saturated. Exact but for the table's entries:
  ///   leaky_relu: x for x >= 0, else x * 26 / 256, whatever the layer's alpha is.
  ///   sigmoid: 1 - 2^-15 for x >= 8, 0 for x < -8, else T[1024 + floor(128 x)] / 32768.
  ///   tanh: 1 - 2^-15 for x >= 4, -1 for x < -4, else T[1024 + floor(256 x)] / 32768.
  ///   hard_swish: h = x * g where g = relu6(x + 3) * 2731 / 16384, itself rounded half_up to an
  ///   int8 of 1/128. The tool computes in float32, which is exact for input_position <= 10.
  /// Source: Vitis AI vai_q_pytorch: nndct_fix_kernels_cpu.h _sigmoid_table_lookup and
  /// _tanh_table_lookup, leaky_relu.py, hardswish.py.
  int64_t operator()(int64_t code) const;
};

/// Entry i, 0..2047, of the tables: the integer nearest to 32768 * sigmoid((i - 1024) / 128) and to
/// 32768 * tanh((i - 1024) / 256).
int64_t vitis_sigmoid_entry(int64_t i);
int64_t vitis_tanh_entry(int64_t i);

}  // namespace facsim::sim
