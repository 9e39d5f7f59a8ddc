// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/profile_fields-internal.h"

#include <utility>

#include "backends/profile/algorithms-internal.h"

namespace facsim::backends::detail {

namespace {

Field object(std::string key, std::string description, std::vector<Field> members) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::object;
  field.description = std::move(description);
  field.members = std::move(members);
  field.default_value = Json::object();
  return field;
}

Field integer(std::string key, std::string description, int64_t min, int64_t max) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::integer;
  field.description = std::move(description);
  field.min = min;
  field.max = max;
  return field;
}

Field boolean(std::string key, std::string description) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::boolean;
  field.description = std::move(description);
  return field;
}

Field number(std::string key, std::string description) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::number;
  field.description = std::move(description);
  return field;
}

Field positive_number(std::string key, std::string description) {
  Field field = number(std::move(key), std::move(description));
  field.positive = true;
  return field;
}

Field text(std::string key, std::string description, std::string pattern = "") {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::text;
  field.description = std::move(description);
  field.pattern = std::move(pattern);
  return field;
}

Field word(std::string key, std::string noun, std::string description, std::vector<Word> words) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::word;
  field.noun = std::move(noun);
  field.description = std::move(description);
  field.words = std::move(words);
  return field;
}

Field list(std::string key, std::string description, Field element) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::list;
  field.description = std::move(description);
  field.members.push_back(std::move(element));
  return field;
}

Field one_of(std::string key, std::string description, std::vector<Field> alternatives) {
  Field field;
  field.key = std::move(key);
  field.kind = FieldKind::one_of;
  field.description = std::move(description);
  field.members = std::move(alternatives);
  return field;
}

Field null_value(std::string description) {
  Field field;
  field.kind = FieldKind::null;
  field.description = std::move(description);
  return field;
}

Field with_default(Field field, Json value) {
  field.default_value = std::move(value);
  return field;
}

Field with_example(Field field, std::string example) {
  field.example = std::move(example);
  return field;
}

Field as_required(Field field) {
  field.required = true;
  return field;
}

Field without_defaults(Field field) {
  field.default_value.reset();
  for (Field& member : field.members) member = without_defaults(std::move(member));
  return field;
}

Field rounding_word(std::string key, std::string description) {
  Field field =
      word(std::move(key), "a rounding mode", std::move(description),
           {{"half_up", "nearest, ties towards +infinity: -0.5 -> 0, 0.5 -> 1"},
            {"half_down", "nearest, ties towards -infinity: -0.5 -> -1, 0.5 -> 0"},
            {"half_away_from_zero", "nearest, ties away from zero (C round): -0.5 -> -1, 0.5 -> 1"},
            {"half_toward_zero", "nearest, ties towards zero: -0.5 -> 0, 0.5 -> 0, 1.5 -> 1"},
            {"half_even", "nearest, ties to the even neighbour (IEEE, rint): 0.5 -> 0, 1.5 -> 2"},
            {"half_odd", "nearest, ties to the odd neighbour: 0.5 -> 1, 1.5 -> 1"},
            {"floor", "towards -infinity (an arithmetic right shift): -0.3 -> -1"},
            {"ceil", "towards +infinity: 0.3 -> 1"},
            {"toward_zero", "cut (a C cast): -1.7 -> -1"},
            {"away_from_zero", "away from zero unless exact: 1.2 -> 2"},
            {"neg_half_up_pos_half_even",
             "negative values half_up, positive half_even: -1.5 -> -1, 0.5 -> 0"}});
  return with_example(std::move(field),
                      "-1.5, -0.5, 0.5, 1.5, 2.5 become: half_up -1 0 1 2 3; half_away_from_zero "
                      "-2 -1 1 2 3; half_even -2 0 0 2 2; floor -2 -1 0 1 2");
}

Field overflow_word(std::string key, std::string description) {
  return with_example(word(std::move(key), "an overflow policy", std::move(description),
                           {{"wrap", "modulo 2^bits: int8 130 -> -126"},
                            {"saturate", "to the nearer end of the type: int8 130 -> 127"},
                            {"saturate_symmetric", "to [-max, max]: int8 -130 -> -127"},
                            {"saturate_zero", "values outside become 0"},
                            {"error", "the run stops with an error"}}),
                      "130 in int8: wrap -126, saturate 127");
}

std::vector<Word> type_words() {
  std::vector<Word> words;
  for (const int bits : {2, 3, 4, 5, 6, 7, 8, 16, 32}) {
    words.push_back({"int" + std::to_string(bits), "two's complement"});
    words.push_back({"uint" + std::to_string(bits), "unsigned"});
  }
  return words;
}

/// /tensors/activation and /tensors/weight.
std::vector<Field> tensor_members(bool is_weight) {
  std::vector<Field> members = {
      with_example(with_default(integer("bits", "width of a code", 2, 16), 8),
                   "8 signed: codes -128..127"),
      with_default(boolean("signed", "two's complement codes; false: 0..2^bits-1"), true),
      with_example(with_default(boolean("narrow_range", "the lowest code is not used"), is_weight),
                   "true with 8 signed bits: [-127, 127]"),
      with_default(word("zero_point", "a zero-point rule", "where real 0 lies",
                        {{"any", "any code (asymmetric): the range [min, max] is covered"},
                         {"zero", "code 0 (symmetric): the range [-max, max] is covered"}}),
                   is_weight ? "zero" : "any"),
      with_default(word("granularity", "a granularity", "how many scales a tensor has",
                        {{"per_tensor", "one"}, {"per_channel", "one per index of channel_axis"}}),
                   is_weight ? "per_channel" : "per_tensor"),
      with_default(integer("channel_axis",
                           "axis with its own scale (weights: OHWI, output channel 0)", 0, 3),
                   0),
      with_default(word("scale", "a scale rule", "which scales exist",
                        {{"any", "every float32 > 0"}, {"power_of_two", "2^k only"}}),
                   "any"),
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
                           "accumulator's unit"}}),
                    "input_times_weight"),
       with_default(integer("bits", "width of an integer bias; larger values saturate", 4, 64), 32),
       with_example(
           with_default(rounding_word("rounding", "how the real bias becomes a code"),
                        "half_away_from_zero"),
           "bias 0.0625, input_scale 0.5, weight_scale 0.25: 0.5 steps -> half_away_from_zero "
           "1, half_even 0")});
}

Field accumulator_field() {
  return object(
      "accumulator", "how products are summed",
      {with_example(with_default(integer("bits", "width of the sum", 8, 64), 32),
                    "int8 x int8 with K taps needs 16 + log2(K) bits: 32 bits hold 131072 taps"),
       with_default(overflow_word("overflow", "what happens to a sum outside the width"), "wrap"),
       with_example(with_default(word("order", "an order", "in which order taps are added",
                                      {{"any", "not promised; the total alone counts"},
                                       {"sequential",
                                        "kh, kw, ic: every partial sum is brought into "
                                        "the width"}}),
                                 "any"),
                    "8 bits saturating, taps 100 + 100 - 100: any 100, sequential 127 - 100 = 27"),
       with_default(word("init", "an initial value", "what the sum starts with",
                         {{"zero", "0; the bias is added last"}, {"bias", "the bias"}}),
                    "zero")});
}

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
       operand("arg", "second operand: a constant or an argument's name"),
       operand("min", "lower bound of clamp, fclamp"),
       operand("max", "upper bound of clamp, fclamp"),
       rounding_word("rounding", "of shr, div, round"),
       one_of("bits", "width after resize",
              {integer("", "a fixed width", 1, 64),
               word("", "a width", "follows the layer", {{"output", "the output's own type"}})}),
       boolean("signed", "of resize; absent: true"),
       overflow_word("overflow", "of resize; absent: saturate")});
}

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
                          {"shift", "power-of-two scales: shifts only"}}),
                    "fixed_point"),
       with_default(word("granularity", "a granularity", "of multiplier and shift",
                         {{"per_channel", "one per output channel"},
                          {"per_tensor", "one per layer; weights must then have one scale"}}),
                    "per_channel"),
       object("multiplier", "how the integer multiplier is found from the scales",
              {with_example(with_default(integer("bits", "width, sign included", 2, 32), 32),
                            "32: Q31, 2^30 <= multiplier < 2^31"),
               with_default(word("derivation", "a derivation", "the rule",
                                 {{"frexp_round",
                                   "mantissa rounded half away from zero to bits - 1 (TFLite)"},
                                  {"float32_mantissa",
                                   "the 24-bit mantissa of the float32 value (XNNPACK rndnu)"},
                                  {"power_of_two", "the exponent alone; other scales are an error"},
                                  {"truncate", "mantissa cut to bits - 1"}}),
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
       with_default(overflow_word("intermediate_overflow", "of that width"), "wrap"),
       object("float", "the float32 domain",
              {with_example(
                   with_default(
                       word("scale_factors", "a form", "how the scales enter",
                            {{"combined", "one factor input_scale * weight_scale / output_scale"},
                             {"input_weight_then_output",
                              "times input_scale * weight_scale, then / output_scale"}}),
                       "combined"),
                   "(1128078 * 1.0233097e-05) * 6.2804651 = 72.500008 -> 73, 1128078 * (product) = "
                   "72.5 "
                   "-> 72"),
               with_default(word("bias_add", "a place for the bias", "where a float32 bias enters",
                                 {{"before_scale",
                                   "(float32(acc) + bias) * scale; the bias in accumulator "
                                   "units"},
                                  {"after_scale", "after the (first) factor"}}),
                            "after_scale")}),
       std::move(steps)});
}

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

std::vector<Field> rule_fields() {
  return {
      object("tensors", "how numbers are stored",
             {object("activation", "inputs and outputs", tensor_members(false)),
              object("weight", "weights", tensor_members(true)), bias_field()}),
      accumulator_field(),
      object(
          "padding", "taps outside the image",
          {with_example(with_default(word("value", "a padding value", "the code they hold",
                                          {{"input_zero_point", "real 0: they contribute nothing"},
                                           {"zero", "code 0"}}),
                                     "input_zero_point"),
                        "zero point -128, weight 3, padding code 0: each padded tap adds 384")}),
      requantize_field(),
      with_example(with_default(word("zero_point_add", "a place for the zero point",
                                     "when the output zero point is added",
                                     {{"after_rounding", "round(v) + zero_point"},
                                      {"before_rounding", "round(v + zero_point) in float32"}}),
                                "after_rounding"),
                   "acc -2, scale 0.25, zero point 127, half_even: after 0 + 127 = 127, before "
                   "round(126.5) = 126"),
      object("output", "the last narrowing",
             {with_default(overflow_word("overflow", "of a result outside the output type"),
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
    std::vector<Field> members;
    for (Field& field : rule_fields()) members.push_back(without_defaults(std::move(field)));
    members.push_back(
        word("algorithm", "an algorithm", "arithmetic of this op by name", algorithm_words()));
    members.push_back(
        object("params", "settings of the algorithm",
               {integer("left_shift", "scaled_add: bits the inputs gain", 0, 30),
                integer("multiplier_bits", "xnnpack.add_rational21: width of the larger multiplier",
                        8, 31),
                rounding_word("rounding", "integer_average, lut")}));
    members.back().default_value.reset();
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

Field training_field() {
  const std::vector<Word> observers = {{"min_max", "smallest and largest value seen"},
                                       {"ema_min_max", "exponential average of each batch's"}};
  const std::vector<Word> quantizers = {{"fixed", "scale from the observer"},
                                        {"learnable", "scale learned with the weights (LSQ)"}};
  return object(
      "training", "defaults of quantization-aware training",
      {with_default(word("activation_observer", "an observer", "range of activations", observers),
                    "ema_min_max"),
       with_default(word("weight_observer", "an observer", "range of weights", observers),
                    "min_max"),
       with_default(
           word("activation_fake_quantize", "a fake-quantizer", "of activations", quantizers),
           "fixed"),
       with_default(word("weight_fake_quantize", "a fake-quantizer", "of weights", quantizers),
                    "fixed"),
       with_default(word("batch_norm", "a rule", "statistics used until they are frozen",
                         {{"batch", "each batch's own"}, {"frozen", "the running ones"}}),
                    "batch")});
}

Field make_profile_fields() {
  std::vector<Field> members = {
      text("$schema", "path of the JSON Schema, for editors"),
      as_required(
          integer("schema_version", "version of this format", kSchemaVersion, kSchemaVersion)),
      as_required(text("name", "the file's name without .json", "[a-z0-9][a-z0-9_-]{0,63}")),
      with_default(text("title", "one line for people"), ""),
      text("extends",
           "the profile this one changes: a shipped name, or a relative path inside this "
           "file's folder; merged as RFC 7396 (null deletes)"),
      object("evidence", "what supports the rules",
             {with_default(
                  word("level", "an evidence level", "how it was established",
                       {{"executed", "a test compares with recorded outputs of the real code"},
                        {"documented", "read in public documentation or source"},
                        {"assumed", "plausible, not confirmed"}}),
                  "assumed"),
              with_default(list("sources", "where the rules were read or recorded",
                                text("", "a public document, repository or file")),
                           Json::array())}),
      with_default(word("determinism", "a promise", "what can be expected of the hardware",
                        {{"bit_exact", "the same bits as this profile"},
                         {"tolerance", "up to tolerance_lsb apart (kernel-dependent ties)"}}),
                   "bit_exact"),
      with_default(integer("tolerance_lsb", "for determinism tolerance", 0, 255), 0),
  };
  for (Field& field : rule_fields()) members.push_back(std::move(field));
  members.push_back(ops_field());
  members.push_back(training_field());
  members.push_back(
      with_default(list("fusion", "modules the platform fuses, by their nni class name; empty: all",
                        text("", "a class name", "[A-Za-z][A-Za-z0-9]{0,63}")),
                   Json::array()));
  return object("", "a platform's numeric contract", std::move(members));
}

}  // namespace

const Field& profile_fields() {
  static const Field root = make_profile_fields();
  return root;
}

const std::vector<std::string>& profile_ops() {
  static const std::vector<std::string> ops = {
      "conv2d",      "depthwise_conv2d", "transpose_conv2d", "linear",
      "batch_matmul", "add",             "sub",              "mul",
      "minimum",     "maximum",          "max_pool2d",       "avg_pool2d",
      "global_avg_pool", "mean",         "pad",              "concat",
      "slice",       "transpose",        "resize",           "quantize",
      "dequantize",  "dynamic_quantize", "requantize",       "relu",
      "lut",         "leaky_relu",       "prelu",            "hard_swish",
      "sigmoid",     "tanh",             "softmax",          "svdf",
      "lstm"};
  return ops;
}

const std::vector<std::string>& rule_keys() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> names;
    for (const Field& field : rule_fields()) names.push_back(field.key);
    return names;
  }();
  return keys;
}

const std::vector<ArgumentName>& argument_names() {
  static const std::vector<ArgumentName> names = {
      {"multiplier", "integer, by requantize.multiplier"},
      {"shift", "right shift that is left beside the constant shifts of the steps, >= 0"},
      {"left_shift", "left shift of real multipliers beyond the constant shifts, >= 0"},
      {"scale", "float32 input_scale * weight_scale / output_scale"},
      {"accumulator_scale", "float32 input_scale * weight_scale"},
      {"output_scale", "float32"},
      {"bias", "float32 bias of the layer"},
      {"zero_point", "of the output; float32 in a real step"},
      {"clamp_min", "lowest output code; float32 in a real step"},
      {"clamp_max", "highest output code; float32 in a real step"},
      {"clamp_min_minus_zero_point", "the same before the zero point is added"},
      {"clamp_max_minus_zero_point", "the same before the zero point is added"},
  };
  return names;
}

}  // namespace facsim::backends::detail
