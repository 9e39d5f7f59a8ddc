// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/algorithms-internal.h"

#include <algorithm>

namespace facsim::backends::detail {

const std::vector<Algorithm>& algorithms() {
  static const std::vector<Algorithm> list = {
      {"scaled_add",
       {"add"},
       {"left_shift"},
       "each input is shifted left by left_shift and requantized by its scale over twice the "
       "larger "
       "input scale, the sum by the rest; all through the op's requantize (TFLite add.h)"},
      {"xnnpack.add_rational21",
       {"add"},
       {"multiplier_bits"},
       "integer multipliers of the ratios input_scale / output_scale at one common shift, one "
       "half_up "
       "shift of the sum (XNNPACK qs8-vadd, multiplier_bits 21)"},
      {"ort.qlinear_add_fma",
       {"add"},
       {},
       "float32 fused multiply-add over the raw codes with a folded constant (ONNX Runtime "
       "QLinearAdd on x86 with FMA)"},
      {"float32_add",
       {"add"},
       {},
       "each input dequantized in float32, one float32 addition, divided by the output scale and "
       "rounded by the op's requantize rounding (TensorRT's float epilogue)"},
      {"shift_add",
       {"add"},
       {},
       "power-of-two scales: inputs shifted left to the finer of their units, summed exactly, one "
       "rounding shift to the output (Vitis AI DPU)"},
      {"integer_average",
       {"avg_pool2d", "global_avg_pool"},
       {"rounding"},
       "the sum of the raw codes divided by the number of taps inside the image, rounded by params "
       "rounding; input and output share scale and zero point (TFLite average_pool.h)"},
      {"float32_scaled_average",
       {"avg_pool2d", "global_avg_pool"},
       {},
       "float32(sum of q - zero_point) * (input_scale / float32(output_scale * taps)), rounded, "
       "then "
       "the zero point (ONNX Runtime QLinearGlobalAveragePool, XNNPACK gavgpool)"},
      {"ort.dequantized_average",
       {"avg_pool2d"},
       {},
       "taps dequantized and summed in float32 in window order, / taps, / output_scale, + zero "
       "point, "
       "rounded (ONNX Runtime QLinearAveragePool)"},
      {"vitis.reciprocal_average",
       {"avg_pool2d", "global_avg_pool"},
       {},
       "the sum times a reciprocal with a power-of-two denominator (3x3: 7/64, 5x5: 10/256, ...), "
       "one "
       "half_up shift (Vitis AI nndct_shared)"},
  };
  return list;
}

const Algorithm* find_algorithm(std::string_view name) {
  for (const Algorithm& algorithm : algorithms()) {
    if (algorithm.name == name) return &algorithm;
  }
  return nullptr;
}

std::vector<std::string> algorithms_of(std::string_view op) {
  std::vector<std::string> names;
  for (const Algorithm& algorithm : algorithms()) {
    if (std::find(algorithm.ops.begin(), algorithm.ops.end(), op) != algorithm.ops.end()) {
      names.push_back(algorithm.name);
    }
  }
  return names;
}

}  // namespace facsim::backends::detail
