// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/field_builders-internal.h"
#include "backends/profile/rule_fields-internal.h"

namespace facsim::backends::detail {

namespace {

/// /tensors/activation and /tensors/weight.
std::vector<Field> tensor_members(bool is_weight) {
  std::vector<Field> members = {
      with_example(with_default(integer("bits", "width of a code", 2, is_weight ? 16 : 32), 8),
                   "8 signed: codes -128..127"),
      with_default(boolean("signed", "two's complement codes; false: 0..2^bits-1"), true),
      with_example(with_default(boolean("narrow_range", "the lowest code is not used"), is_weight),
                   "true with 8 signed bits: [-127, 127]"),
      with_default(word("zero_point", "a zero-point rule", "where real 0 lies",
                        {{"any", "any code (asymmetric): the range [min, max] is covered"},
                         {"zero", "code 0 (symmetric): the range [-max, max] is covered"},
                         {"middle", "2^(bits-1) of an unsigned type (symmetric uint8: 128)"}}),
                   is_weight ? "zero" : "any"),
      with_default(word("granularity", "a granularity", "how many scales a tensor has",
                        {{"per_tensor", "one"}, {"per_channel", "one per index of channel_axis"}}),
                   is_weight ? "per_channel" : "per_tensor"),
      with_default(integer("channel_axis",
                           "axis with its own scale (weights: OHWI, output channel 0)", 0, 3),
                   0),
      with_default(word("scale", "a scale rule", "which scales exist",
                        {{"any", "every float32 > 0"},
                         {"power_of_two", "2^k only, the next one that covers the range"},
                         {"nearest_power_of_two", "2^k only, the nearest in the logarithm"}}),
                   "any"),
      with_example(
          with_default(word("scheme", "a scheme", "what a code means",
                            {{"affine", "scale * (code - zero_point)"},
                             {"log2_16", "a sign and a power 2^(code / 16); named algorithms only"},
                             {"threshold",
                              "how many thresholds the value has passed; named "
                              "algorithms only"}}),
                       "affine"),
          "HiSilicon NNIE: log2_16; FINN: threshold"),
      with_default(
          rounding_word("rounding", "how a real number becomes a code when it is quantized"),
          is_weight ? "half_away_from_zero" : "half_away_from_zero"),
      with_example(
          with_default(
              word("formula", "a quantization formula", "the float32 operation before rounding",
                   {{"division", "x / scale"}, {"reciprocal", "x * float32(1 / scale)"}}),
              "division"),
          "x = 0.273939937, scale = 0.00214854861: division 127.49999 -> 127, reciprocal 127.5 -> "
          "128"),
      with_example(with_default(word("zero_point_add", "a place for the zero point",
                                     "when the zero point is added",
                                     {{"after_rounding", "round(v) + zero_point"},
                                      {"before_rounding", "round(v + zero_point)"}}),
                                "after_rounding"),
                   "v = 0.5, zero_point = 1, half_even: after 0 + 1 = 1, before round(1.5) = 2"),
      with_example(
          one_of("symmetric_divisor", "scale = max|x| / symmetric_divisor where zero_point is zero",
                 {positive_number("", "the divisor"), null_value("(quant_max - quant_min) / 2")}),
          "8 signed bits without narrow_range: null 127.5 (PyTorch), 127 is TFLite's"),
      with_default(list("also_accepts",
                        "further code types the op takes unchanged through the same "
                        "arithmetic",
                        word("", "an integer type", "a code type", type_words())),
                   Json::array()),
  };
  return members;
}

Field bias_field() {
  return object(
      "bias", "how a layer's bias is stored",
      {with_default(word("kind", "a bias kind", "what a bias is",
                         {{"integer", "codes added to the accumulator"},
                          {"float32", "a real number that enters the float epilogue"},
                          {"none", "layers have no bias"}}),
                    "integer"),
       with_default(word("scale", "a bias scale", "real units of one step of an integer bias",
                         {{"input_times_weight", "input_scale * weight_scale[c]: adds as it is"},
                          {"own_power_of_two",
                           "a power of two of its own, shifted left to the "
                           "accumulator's unit"},
                          {"own",
                           "any scale of its own; the code is rounded to the accumulator's "
                           "unit when the layer is loaded"}}),
                    "input_times_weight"),
       with_default(word("formula", "a bias formula", "how a real bias becomes steps",
                         {{"division", "bias / (input_scale * weight_scale) in float64"},
                          {"reciprocal",
                           "float32(bias) * float32(1 / float32(input_scale * weight_scale)), as "
                           "PyTorch loads it"}}),
                    "division"),
       with_default(integer("bits", "width of an integer bias", 4, 64), 32),
       with_example(
           with_default(rounding_word("rounding", "how the real bias becomes a code"),
                        "half_away_from_zero"),
           "bias 0.0625, input_scale 0.5, weight_scale 0.25: 0.5 steps -> half_away_from_zero "
           "1, half_even 0"),
       with_example(
           with_default(overflow_word("overflow", "of a bias outside bits"), "saturate"),
           "bias of 300 steps in 8 bits: saturate 127, wrap 44, error refuses the layer")});
}

}  // namespace

Field tensors_field() {
  return object("tensors", "how numbers are stored",
                {object("activation", "inputs and outputs", tensor_members(false)),
                 object("weight", "weights", tensor_members(true)), bias_field()});
}

}  // namespace facsim::backends::detail
