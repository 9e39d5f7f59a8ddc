// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/algorithms-internal.h"

#include <algorithm>
#include <map>

namespace facsim::backends::detail {

const std::vector<Algorithm>& algorithms() {
  static const std::vector<Algorithm> shared = {
      {"scaled_add",
       {"add", "sub"},
       {"left_shift"},
       "each input is shifted left by left_shift and requantized by its scale over twice the "
       "larger "
       "input scale, the sum by the rest; all through the op's requantize (TFLite add.h)",
       true},
      {"tflite.folded_mean",
       {"mean"},
       {},
       "the sum of q - zero_point through the op's requantize, its multiplier times 2^k / elements "
       "(cut), k = floor(log2(elements)) (TFLite reduce.h QuantizedMeanOrSum)",
       true},
      {"requantized_mean",
       {"mean"},
       {},
       "the sum of q - zero_point through the op's requantize, by input_scale / (elements * "
       "output_scale) derived as any multiplier",
       true},
      {"tflite.resize",
       {"resize"},
       {},
       "nearest by float32 coordinates, bilinear in 1/1024 pixel with one half_away_from_zero "
       "rounding (TFLite resize_nearest_neighbor.h, resize_bilinear.h)"},
      {"xnnpack.add_rational21",
       {"add", "sub"},
       {"multiplier_bits"},
       "integer multipliers of the ratios input_scale / output_scale at one common shift, one "
       "half_up "
       "shift of the sum (XNNPACK qs8-vadd, multiplier_bits 21)"},
      {"qnnpack.add_rational22",
       {"add"},
       {"multiplier_bits"},
       "as xnnpack.add_rational21 with multiplier_bits 22, the sum rounded half_away_from_zero "
       "(PyTorch QNNPACK q8vadd)"},
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
      {"xnnpack.mantissa_average",
       {"avg_pool2d", "global_avg_pool"},
       {"rounding"},
       "sum of q - zero_point (padded taps are 0) times the 24-bit mantissa of float32 input_scale "
       "/ "
       "(output_scale * window size), one right shift rounded by params rounding; a window over "
       "the "
       "whole unpadded image follows global_avg_pool (XNNPACK qu8 avgpool: half_away_from_zero, "
       "ARM "
       "gavgpool: half_up)"},
      {"ort.lookup_table",
       {"leaky_relu", "sigmoid"},
       {},
       "a table of every code: dequantized, the function in float32 (sigmoid: a rational function "
       "with fused multiply-adds), quantized as the op's activations (ONNX Runtime contrib "
       "qlinear_lookup_table, mlas logistic on x86 with FMA)"},
      {"xnnpack.lookup_table",
       {"leaky_relu", "sigmoid", "tanh"},
       {},
       "a table of every code: dequantized, the function in float32 (by exp and tanh), times the "
       "reciprocal output scale, rounded (XNNPACK lut-elementwise-nc; leaky_relu: versions of 2022 "
       "and before)"},
      {"xnnpack.lrelu_q8",
       {"leaky_relu"},
       {},
       "multipliers half_even(256 * input_scale / output_scale), times alpha for negative values, "
       "one half_up shift by 8 (XNNPACK qs8-vlrelu and qu8-vlrelu, since mid 2022)"},
      {"tflite.gemmlowp_q4",
       {"sigmoid", "tanh"},
       {},
       "8-bit codes as Q4.27 by the op's requantize, gemmlowp's fixed-point logistic or tanh, "
       "rounded half_away_from_zero to 8 or 7 fraction bits (TFLite integer_ops/logistic.h, "
       "tanh.h)"},
      {"tflite.sigmoid_table",
       {"sigmoid", "tanh"},
       {},
       "int16 codes in steps of 1 / 12288 by a 15-bit multiplier, a table of 256 sigmoids "
       "interpolated by 9 or 8 bits (TFLite integer_ops/logistic.h, tanh.h; CMSIS-NN "
       "arm_nn_activation_s16)"},
      {"tflite.hard_swish_s16",
       {"hard_swish"},
       {},
       "x * relu6(x + 3) / 6 in 16-bit fixed point with saturating shifts (TFLite hard_swish.h)"},
      {"requantized_slopes",
       {"leaky_relu", "prelu"},
       {},
       "q - zero_point through the op's requantize: by input_scale / output_scale from 0 on, below "
       "by that times alpha (prelu: times the scale of alpha, after multiplying with its code) "
       "(TFLite leaky_relu.h, prelu.h)",
       true},
      {"tflite.softmax_int8",
       {"softmax"},
       {},
       "differences to the largest code as Q5.26 by the op's requantize, gemmlowp's exp, sums in "
       "Q12.19, Newton's reciprocal (TFLite softmax.h, CMSIS-NN arm_softmax_s8)"},
      {"tflite.softmax_float_table",
       {"softmax"},
       {},
       "a float32 table of exp(-input_scale * beta * difference), a float32 sum in the order of "
       "the "
       "row and its reciprocal, rounded half_away_from_zero (TFLite optimized_ops.h Softmax, not "
       "on "
       "aarch64)"},
      {"ort.softmax_table",
       {"softmax"},
       {},
       "a float32 table of exp(code * input_scale) as large as the sum of a row allows, a float32 "
       "sum in the order of the row, times floor(1 / output_scale), divided, half_even (ONNX "
       "Runtime contrib qlinear_softmax.cc)"},
      {"tflite.softmax_int16",
       {"softmax"},
       {},
       "differences as -65535..0 for -10..0 by the op's requantize, interpolated tables of 513 for "
       "exp and 1 / (1 + x) (TFLite softmax.h SoftmaxInt16, CMSIS-NN arm_softmax_s16)"},
      {"cmsis.lstm",
       {"lstm"},
       {},
       "int16 gates and cell, sigmoid and tanh by the 256-entry table; int16 inputs sum in 64 bits "
       "and narrow as arm_nn_requantize_s64 (CMSIS-NN arm_lstm_unidirectional_s8, _s16)"},
      {"vitis.reciprocal_average",
       {"avg_pool2d", "global_avg_pool"},
       {},
       "the sum times a reciprocal with a power-of-two denominator (3x3: 7/64, 5x5: 10/256, ...), "
       "one "
       "half_up shift (Vitis AI nndct_shared)"},
  };
  static const std::vector<Algorithm> list = [] {
    std::vector<Algorithm> all = shared;
    all.insert(all.end(), platform_algorithms().begin(), platform_algorithms().end());
    return all;
  }();
  return list;
}

const Algorithm* find_algorithm(std::string_view name) {
  for (const Algorithm& algorithm : algorithms()) {
    if (algorithm.name == name) return &algorithm;
  }
  return nullptr;
}

const std::vector<std::string>& algorithms_of(std::string_view op) {
  using NamesByOp = std::map<std::string, std::vector<std::string>, std::less<>>;
  static const NamesByOp names = [] {
    NamesByOp all;
    for (const Algorithm& algorithm : algorithms()) {
      for (const std::string& own : algorithm.ops) all[own].push_back(algorithm.name);
    }
    return all;
  }();
  static const std::vector<std::string> none;
  const auto found = names.find(op);
  return found == names.end() ? none : found->second;
}

}  // namespace facsim::backends::detail
