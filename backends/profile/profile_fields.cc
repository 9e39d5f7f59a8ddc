// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/profile_fields-internal.h"

#include <utility>

#include "backends/profile/field_builders-internal.h"
#include "backends/profile/rule_fields-internal.h"

namespace facsim::backends::detail {

namespace {

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
  // clang-format off
  static const std::vector<std::string> ops = {
      "conv2d", "depthwise_conv2d", "transpose_conv2d", "linear", "batch_matmul", "add", "sub", "mul",
      "minimum", "maximum", "max_pool2d", "avg_pool2d", "global_avg_pool", "mean", "pad", "concat",
      "slice", "transpose", "resize", "quantize", "dequantize", "dynamic_quantize", "requantize",
      "relu", "lut", "leaky_relu", "prelu", "hard_swish", "sigmoid", "tanh", "softmax", "svdf",
      "lstm"};
  // clang-format on
  return ops;
}

const std::vector<ArgumentName>& argument_names() {
  static const std::vector<ArgumentName> names = {
      {"multiplier", "integer, by requantize.multiplier"},
      {"shift", "right shift that is left beside the constant shifts of the steps, >= 0"},
      {"left_shift", "left shift of real multipliers beyond the constant shifts, >= 0"},
      {"scale", "float32 input_scale * weight_scale / output_scale"},
      {"accumulator_scale", "float32 input_scale * weight_scale"},
      {"output_scale", "float32"},
      {"output_scale_reciprocal", "float32(1 / output_scale)"},
      {"activation_min", "lower bound of a fused activation in units of the value at that step"},
      {"activation_max", "upper bound; with either, clamp_min and clamp_max are the type's range"},
      {"bias", "float32 bias of the layer"},
      {"offset", "output zero point in units of the accumulator (negative in a sub step)"},
      {"zero_point", "of the output; float32 in a real step"},
      {"clamp_min", "lowest output code; float32 in a real step"},
      {"clamp_max", "highest output code; float32 in a real step"},
      {"clamp_min_minus_zero_point", "the same before the zero point is added"},
      {"clamp_max_minus_zero_point", "the same before the zero point is added"},
  };
  return names;
}

}  // namespace facsim::backends::detail
