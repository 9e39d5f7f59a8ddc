// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/field_builders-internal.h"
#include "backends/profile/rule_fields-internal.h"

namespace facsim::backends::detail {

namespace {

Field step_field() {
  std::vector<Word> ops = {{"shl", "v * 2^arg"},
                           {"shr", "v / 2^arg, rounded"},
                           {"mul", "v * arg"},
                           {"add", "v + arg"},
                           {"sub", "v - arg"},
                           {"div", "v / arg, rounded; arg > 0"},
                           {"resize", "into bits/signed by overflow"},
                           {"clamp", "between min and max"},
                           {"to_f32", "to float32, half_even"},
                           {"to_f64", "to float64; the float steps up to round are then float64"},
                           {"fadd", "v + arg in float32"},
                           {"fsub", "v - arg in float32"},
                           {"fmul", "v * arg in float32"},
                           {"fdiv", "v / arg in float32"},
                           {"fclamp", "between min and max in float32"},
                           {"round", "float32 to integer"}};
  const auto operand = [](std::string key, std::string description) {
    return one_of(
        std::move(key), std::move(description),
        {integer("", "an integer constant", INT64_MIN, INT64_MAX), number("", "a float32 constant"),
         text("", "the name of an argument the layer supplies")});
  };
  return object(
      "", "one step on the running value v",
      {as_required(word("op", "a step", "what the step does", std::move(ops))),
       operand("arg",
               "second operand: a constant or an argument's name; of round: v + "
               "copysign(arg, v) in float first"),
       operand("addend", "of fmul: v * arg + addend with one rounding"),
       operand("min", "lower bound of clamp, fclamp"),
       operand("max", "upper bound of clamp, fclamp"),
       rounding_word("rounding", "of shr, div, round"),
       one_of("bits", "width after resize",
              {integer("", "a fixed width", 1, 64),
               word("", "a width", "follows the layer", {{"output", "the output's own type"}})}),
       boolean("signed", "of resize; absent: true"),
       overflow_word("overflow", "of resize; absent: saturate")});
}

/// What happens to the accumulator before any scaling.
Field input_field() {
  return object(
      "input", "what the requantizer takes of the accumulator: acc / 2^shift, rounded, in bits",
      {with_example(
           with_default(
               integer("shift", "bits dropped first; they count in the whole shift", 0, 31), 0),
           "4: acc 24 enters as 2 (24 / 16 = 1.5, half_away_from_zero)"),
       with_default(rounding_word("rounding", "of that shift"), "half_away_from_zero"),
       with_example(
           optional_integer("bits", "width of the requantizer's input", 2, 64, "the accumulator's"),
           "17: accumulators of 65535 and more are 65535 before the multiplication"),
       with_default(overflow_word("overflow", "of that width"), "saturate")});
}

Field float_field() {
  return object(
      "float", "the float32 and float64 domains",
      {with_example(
           with_default(word("scale_factors", "a form", "how the scales enter",
                             {{"combined", "one factor input_scale * weight_scale / output_scale"},
                              {"input_weight_then_output",
                               "times input_scale * weight_scale, then / output_scale"}}),
                        "combined"),
           "(1128078 * 1.0233097e-05) * 6.2804651 = 72.500008 -> 73, 1128078 * (product) = 72.5 "
           "-> 72"),
       with_default(boolean("reciprocal",
                            "input_weight_then_output multiplies by float32(1 / output_scale)"),
                    false),
       with_example(
           with_default(
               word("bias_add", "a place for the bias", "where a float32 bias enters",
                    {{"integer_before",
                      "rounded to accumulator units when the layer is loaded; every domain"},
                     {"before_scale",
                      "(float32(acc) + bias) * scale; the bias in accumulator units"},
                     {"after_scale", "after the (first) factor"}}),
               "after_scale"),
           "acc -159, accumulator unit 0.006773187, bias 1.6153165, output_scale 0.15369543: "
           "after_scale 3.503 -> 4, integer_before (-159 + 238) units 3.481 -> 3"),
       with_example(
           with_default(boolean("fma",
                                "one rounding for the product and the sum that follows it: a "
                                "float32 bias after_scale, or the zero point before_rounding"),
                        false),
           "0.1 * 10 - 1 in float32: fused 1.4901161e-08, two roundings 0"),
       with_default(word("clamp", "a place for the clamp", "to the output's range",
                         {{"before_round", "in float, before the rounding"},
                          {"after_round", "on the integer"}}),
                    "before_round"),
       with_example(
           with_default(word("round_impl", "an implementation", "how the rounding is done",
                             {{"exact", "requantize.rounding of the value"},
                              {"add_half_truncate",
                               "v + copysign(0.5, v) in float, then cut (ncnn on x86, Hexagon)"}}),
                        "exact"),
           "0.49999997: exact half_away_from_zero 0, add_half_truncate 1")});
}

}  // namespace

Field requantize_field() {
  Field stage = object("", "one right shift",
                       {as_required(one_of("shift", "bits this stage shifts out",
                                           {integer("", "a fixed count", 0, 62),
                                            word("", "a shift", "what is left",
                                                 {{"rest", "the rest of the whole shift"}})})),
                        as_required(rounding_word("mode", "of this stage")),
                        integer("saturate_bits", "the result saturates to this width", 8, 64)});
  Field rounding =
      one_of("rounding", "how the right shift (or the float32 value) becomes an integer",
             {rounding_word("", "one rounding of the whole shift"),
              list("", "one rounding per stage, in this order", std::move(stage))});
  rounding.example =
      "acc 7, multiplier 1073774592, whole shift 34 (real 0.4375): half_up at 31 then "
      "half_away_from_zero -> 1, a single half_up -> 0";
  rounding.default_value = Json::parse(
      R"([{"shift": 31, "mode": "half_up", "saturate_bits": 32},
          {"shift": "rest", "mode": "half_away_from_zero"}])");

  Field steps = one_of("steps", "the requantization written out",
                       {list("",
                             "steps on the accumulator; they replace domain, left_shift, rounding, "
                             "intermediate, float, zero_point_add, output",
                             step_field()),
                        null_value("the other fields describe it")});
  steps.example =
      R"([{"op": "mul", "arg": "multiplier"}, {"op": "shr", "arg": "shift", "rounding": )"
      R"("half_up"}, {"op": "add", "arg": "zero_point"}, {"op": "resize", "bits": "output"}, )"
      R"({"op": "clamp", "min": "clamp_min", "max": "clamp_max"}])";

  return object(
      "requantize", "from the accumulator to output codes",
      {with_default(word("domain", "a domain", "the arithmetic of the scaling",
                         {{"fixed_point", "integer multiplier, then right shifts"},
                          {"float32", "float32(acc) times scale, then one rounding"},
                          {"float64", "the same in float64; scale stays float32"},
                          {"shift", "power-of-two scales: shifts only"},
                          {"threshold", "counts of thresholds; named algorithms only"},
                          {"lut", "a table; named algorithms only"}}),
                    "fixed_point"),
       with_default(word("granularity", "a granularity", "of multiplier and shift",
                         {{"per_channel", "one per output channel"},
                          {"per_tensor", "one per layer; weights must then have one scale"}}),
                    "per_channel"),
       input_field(),
       object(
           "multiplier", "how the integer multiplier is found from the scales",
           {with_example(with_default(integer("bits", "width, sign included", 2, 32), 32),
                         "32: Q31, 2^30 <= multiplier < 2^31"),
            with_default(word("derivation", "a derivation", "the rule",
                              {{"frexp_round",
                                "mantissa rounded half away from zero to fraction_bits (TFLite)"},
                               {"float32_mantissa",
                                "the 24-bit mantissa of the float32 value (XNNPACK rndnu)"},
                               {"power_of_two", "the exponent alone; other scales are an error"},
                               {"truncate", "mantissa cut to fraction_bits"},
                               {"search_min_error",
                                "the shift whose rounded multiplier is nearest (TPU-MLIR)"},
                               {"fixed_fraction",
                                "round half away of real * 2^fraction_bits; one constant shift"}}),
                         "frexp_round"),
            with_example(with_default(word("scale_product", "a precision",
                                           "of input_scale * weight_scale / output_scale",
                                           {{"float64", "all in float64"},
                                            {"float32", "all in float32"},
                                            {"float32_then_float64",
                                             "product in float32, division in float64"}}),
                                      "float64"),
                         "0.00886764191 * 0.00111100345 / 0.169573531: float64 2044161944, "
                         "product in float32 "
                         "2044161862"),
            with_example(with_default(word("formula", "a formula", "how output_scale divides",
                                           {{"division", "product / output_scale"},
                                            {"reciprocal", "product * (1 / output_scale)"}}),
                                      "division"),
                         "float32: 0.273939937 / 0.00214854861 is 127.49999, reciprocal 127.5"),
            with_example(optional_integer("fraction_bits", "fraction bits of the multiplier", 1, 31,
                                          "bits - 1"),
                         "bits 16, fraction_bits 12 (Q12): real 0.3 is 0.6 * 2^-1, multiplier "
                         "round(0.6 * 4096) = 2458"),
            with_example(
                optional_integer("reduce_to_bits", "bits kept of the derived multiplier, half_up",
                                 2, 31, "all"),
                "16 (TFLite 16x8): acc 178837022, multiplier 1134312299, exponent -14 "
                "-> 5765, with all bits 5766"),
            with_default(integer("zero_if_shift_below",
                                 "binary exponents below this give multiplier 0", -62, 0),
                         -31)}),
       object(
           "left_shift", "multipliers of 1 and more",
           {with_default(word("position", "a position", "where the left shift is",
                              {{"before_multiply", "acc * 2^left_shift, then the multiplication"},
                               {"in_total_shift", "the right shift is that much shorter"}}),
                         "before_multiply"),
            with_default(integer("bits", "width after the shift", 8, 64), 32),
            with_default(overflow_word("overflow", "of that width"), "wrap")}),
       std::move(rounding),
       with_default(one_of("intermediate_bits", "width of the scaled value before the zero point",
                           {integer("", "a width", 8, 64), null_value("as wide as needed")}),
                    nullptr),
       with_default(overflow_word("intermediate_overflow", "of that width"), "wrap"), float_field(),
       std::move(steps)});
}

}  // namespace facsim::backends::detail
