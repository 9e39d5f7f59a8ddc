// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/algorithms-internal.h"

namespace facsim::backends::detail {

const std::vector<Algorithm>& platform_algorithms() {
  static const std::vector<Algorithm> list = {
      {"tosa.reciprocal_average",
       {"avg_pool2d", "global_avg_pool"},
       {},
       "the sum of q - zero_point times reciprocal_scale(taps), one half_up shift; input and "
       "output "
       "share the scale (TOSA AVG_POOL2D)"},
      {"ethos_u.pooling_scale",
       {"avg_pool2d", "global_avg_pool"},
       {},
       "the sum of q - zero_point times (2^(31+k) + 2^k) / taps, one half_up shift by 31 + k; "
       "input "
       "and output share the scale (Vela quantise_pooling_scale)"},
      {"onednn.reciprocal_average",
       {"avg_pool2d", "global_avg_pool"},
       {},
       "float32(sum of q - zero_point) * (1 / taps in float32), half_even: 350 / 28 is 13, not 12 "
       "(oneDNN pooling_avg)"},
      {"nvdla.pdp_average",
       {"avg_pool2d", "global_avg_pool"},
       {},
       "the sum times floor(2^16 / kernel width) / 2^16, then the same by the height, each rounded "
       "half_away_from_zero; the window's size divides, windows up to 8 x 8 (NVDLA PDP)"},
      {"qonnx.quant_avg_pool2d",
       {"avg_pool2d", "global_avg_pool"},
       {},
       "the sum shifted right, floor, by the bits that (2^input_bits - 1) * taps has more than the "
       "output type (qonnx QuantAvgPool2d)"},
      {"ethos_u.add",
       {"add", "sub"},
       {"left_shift"},
       "only the operand of the smaller scale is multiplied, by that scale over twice the larger "
       "times 2^left_shift; the other is shifted left by left_shift - 1, the sum scaled by the "
       "op's "
       "requantize (Vela advanced_elementwise_add_sub_scale: 20 for 8 bits, 15 for 16)",
       true},
      {"nvdla.sdp_add",
       {"add"},
       {},
       "x + (y << n) where y's scale is 2^n times x's, then the 16-bit output converter, "
       "half_away_from_zero, saturated to 17 bits and to the output (NVDLA SDP X stage, CVT)"},
      {"nvdla.sdp_prelu",
       {"leaky_relu"},
       {},
       "negative values times a 16-bit slope, shifted half_away_from_zero and saturated to 32 "
       "bits, "
       "others unchanged; then the 16-bit output converter (NVDLA SDP X stage, CVT)"},
      {"vitis.leaky_relu",
       {"leaky_relu"},
       {},
       "slope 26 / 256 whatever alpha is, one half_up rounding to the output's power-of-two unit "
       "(Vitis AI nndct leaky_relu.py)"},
      {"vitis.table",
       {"sigmoid", "tanh"},
       {},
       "2048 entries of 1 / 32768 over -8..8 (tanh: -4..4), index floored, saturated outside; the "
       "entry rounded half_up to the output's unit (Vitis AI nndct_fix_kernels_cpu.h)"},
      {"vitis.hard_swish",
       {"hard_swish"},
       {},
       "x times relu6(x + 3) * 2731 / 16384, that factor first rounded half_up to 8 bits of 1 / "
       "128 "
       "(Vitis AI nndct hardswish.py)"},
      {"ethos_u.table",
       {"sigmoid", "tanh"},
       {},
       "8 bits: each code's entry is round_half_away(zero_point + f(x) / output_scale) in float64, "
       "sigmoid cut to 0 and 1 from |x| = 8 on (Vela convert_to_lut8)"},
      {"ethos_u.table_int16",
       {"lut"},
       {},
       "513 entries over int16 codes, 7-bit interpolation rounded half_up to int16 (Vela lut.py, "
       "512 "
       "entries of base and slope)"},
      {"ethos_u.leaky_relu_table",
       {"leaky_relu"},
       {},
       "8 bits: each code's entry by TFLite's double rounding, negative values with the multiplier "
       "of input_scale * alpha / output_scale (Vela convert_lrelu_to_lut)"},
      {"tosa.table_int16",
       {"lut"},
       {},
       "513 entries over int16 codes, 7-bit interpolation to int32: base * 128 + fraction * slope "
       "(TOSA TABLE)"},
      {"finn.multi_threshold",
       {"requantize"},
       {},
       "the lowest output code plus the number of thresholds (k - 1/2) * output_scale that the "
       "value "
       "reaches (FINN MultiThreshold, qonnx conversion of Quant)"},
      {"nnie.log2_16",
       {"quantize", "dequantize"},
       {},
       "sign and 16 * log2 of the magnitude: code = clamp(round(16 log2 |x|) - z, 0 or 1, 127) "
       "with "
       "z = round(16 log2 of the largest value) - 127; +0 is 2^(z/16), -0 is zero (NNIE)"},
  };
  return list;
}

bool algorithm_is_optional(std::string_view op) {
  return op == "quantize" || op == "dequantize" || op == "requantize" || op == "lut";
}

}  // namespace facsim::backends::detail
