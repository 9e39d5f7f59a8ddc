// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "backends/profile/algorithms-internal.h"
#include "backends/profile/field_builders-internal.h"
#include "backends/profile/profile_fields-internal.h"
#include "backends/profile/rule_fields-internal.h"

namespace facsim::backends::detail {

namespace {

std::vector<Word> algorithm_words() {
  std::vector<Word> words;
  for (const Algorithm& algorithm : algorithms()) {
    words.push_back({algorithm.name, algorithm.description});
  }
  return words;
}

Field domain_field() {
  return object(
      "domain", "ranges outside which the platform is not defined",
      {with_example(
           with_default(integer("min_shift", "smallest whole right shift of a layer", -31, 62),
                        -31),
           "Vitis AI: shift_cut in 0..16"),
       with_default(integer("max_shift", "largest", -31, 62), 62)});
}

/// Lower-case words, one space between them.
constexpr const char* kPhrasePattern = "[a-z0-9][a-z0-9_-]{0,63}( [a-z0-9_-]{1,63}){0,7}";

/// Settings of all algorithms; which one reads what is checked where the rules are read.
Field params_field() {
  std::vector<Field> members;
  std::vector<std::string> keys = {"rounding"};
  for (const Algorithm& algorithm : algorithms()) {
    for (const std::string& key : algorithm.params) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  for (const std::string& key : keys) {
    members.push_back(key == "rounding" ? rounding_word(key, "of the algorithm")
                                        : integer(key, "see the algorithm", -(int64_t{1} << 32),
                                                  int64_t{1} << 32));
  }
  return object("params", "settings of the algorithm", std::move(members));
}

/// What an op and a variant may hold: the numeric rules and an algorithm, nothing by default.
std::vector<Field> op_rule_fields() {
  std::vector<Field> members = rule_fields();
  members.push_back(
      word("algorithm", "an algorithm", "arithmetic of this op by name", algorithm_words()));
  members.push_back(params_field());
  for (Field& field : members) field = without_defaults(std::move(field));
  return members;
}

Field when_field() {
  std::vector<Word> biases;
  for (const char* type : {"int8", "int16", "int32", "int64", "float32"}) {
    biases.push_back({type, "how the bias is stored"});
  }
  Field when = object("when", "the types for which a variant holds; all that are given must fit",
                      {word("activation", "an integer type", "of the (first) input", type_words()),
                       word("weight", "an integer type", "of the weights", type_words()),
                       word("bias", "a bias type", "how the bias is stored", std::move(biases))});
  when.default_value.reset();
  return with_example(std::move(when),
                      "{\"activation\": \"int16\", \"bias\": \"int64\"}: it also sets "
                      "tensors.activation to int16 and tensors.bias to 64 bits");
}

Field aliases_field() {
  Field aliases = list("aliases", "other names in the platform's own words",
                       text("", "a phrase of lower-case words", kPhrasePattern));
  return with_example(std::move(aliases), "[\"gemm\"]: facsim requantize --op gemm");
}

Field variant_field() {
  std::vector<Field> members = {when_field(), aliases_field()};
  for (Field& field : op_rule_fields()) members.push_back(std::move(field));
  Field variant = object("", "rules merged over the op's", std::move(members));
  variant.default_value.reset();
  return variant;
}

}  // namespace

std::vector<Field> rule_fields() {
  return {
      tensors_field(),
      accumulator_field(),
      padding_field(),
      requantize_field(),
      with_example(
          with_default(word("zero_point_add", "a place for the zero point",
                            "when the output zero point is added",
                            {{"after_rounding", "round(v) + zero_point"},
                             {"before_rounding", "round(v + zero_point) in float"},
                             {"folded_before_scale",
                              "acc + offset before the scaling, offset = zero_point / real "
                              "multiplier rounded by tensors.bias.rounding"}}),
                       "after_rounding"),
          "acc -2, scale 0.25, zero point 127, half_even: after 0 + 127 = 127, before "
          "round(126.5) = 126; folded with multiplier 1 and shift 2: (-2 + 508) / 4 = 126.5"),
      with_example(
          with_default(
              word("activation_order", "an order", "where a fused activation acts",
                   {{"clamp_after_requant", "on output codes"},
                    {"integer_before_requant",
                     "on the accumulator, after requantize.input; relu6's bound is "
                     "round(6 / (input_scale * weight_scale))"},
                    {"float_before_requant", "on the float value, before the zero point"}}),
              "clamp_after_requant"),
          "relu6, accumulator unit 0.7, output_scale 0.5, acc 20: on codes min(28, 12) = 12, on "
          "the "
          "accumulator min(20, 9) * 1.4 = 12.6 -> 13"),
      object("output", "the last narrowing",
             {with_example(optional_integer("bits",
                                            "width of the results, where it is not the "
                                            "activation's",
                                            2, 64, "as /tensors/activation"),
                           "32: int32 results (TOSA RESCALE to int32, ruy)"),
              with_default(one_of("signed", "two's complement results",
                                  {boolean("", "the sign"), null_value("as /tensors/activation")}),
                           nullptr),
              with_example(with_default(one_of("narrow_range", "results never take the lowest code",
                                               {boolean("", "the rule"),
                                                null_value("as /tensors/activation")}),
                                        nullptr),
                           "true with 8 signed bits: a result of -128 becomes -127 (ncnn)"),
              with_default(overflow_word("overflow", "of a result outside the output type"),
                           "saturate")}),
      with_example(with_default(rounding_word("activation_bound_rounding",
                                              "how relu6's real bounds become codes: zero_point + "
                                              "round(float32(bound / scale))"),
                                "half_away_from_zero"),
                   "bound 6, scale 0.0235294122 (6 / 255), zero point -128: 255 - 128 = 127"),
      domain_field(),
  };
}

Field ops_field() {
  std::vector<Field> ops;
  for (const std::string& name : profile_ops()) {
    std::vector<Field> members = op_rule_fields();
    members.push_back(aliases_field());
    members.push_back(map_of("variants", "rules for certain types, or under a name of their own",
                             kPhrasePattern, variant_field()));
    Field op = object(name, "rules of " + name + ", merged over the profile's", std::move(members));
    op.default_value.reset();
    ops.push_back(std::move(op));
  }
  return object(
      "ops",
      "ops the platform has: an absent op is unsupported; {} takes the profile's rules as they "
      "are",
      std::move(ops));
}

const std::vector<std::string>& rule_keys() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> names;
    for (const Field& field : rule_fields()) names.push_back(field.key);
    return names;
  }();
  return keys;
}

}  // namespace facsim::backends::detail
