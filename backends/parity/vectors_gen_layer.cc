// SPDX-License-Identifier: Apache-2.0
// Which maker an op has, and the layers that a profile accepts.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "backends/lower/lower.h"
#include "backends/parity/vectors_gen_build-internal.h"
#include "backends/parity/vectors_gen_suite-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

constexpr int kTries = 64;

struct MakerEntry {
  std::string_view op;
  VectorLayerMaker make;
};

constexpr std::array kMakers{MakerEntry{"conv2d", try_weighted},
                             MakerEntry{"linear", try_weighted},
                             MakerEntry{"transpose_conv2d", try_weighted},
                             MakerEntry{"batch_matmul", try_matmul},
                             MakerEntry{"add", try_binary},
                             MakerEntry{"sub", try_binary},
                             MakerEntry{"mul", try_binary},
                             MakerEntry{"minimum", try_binary},
                             MakerEntry{"maximum", try_binary},
                             MakerEntry{"max_pool2d", try_pool},
                             MakerEntry{"avg_pool2d", try_pool},
                             MakerEntry{"global_avg_pool", try_pool},
                             MakerEntry{"mean", try_moving},
                             MakerEntry{"pad", try_moving},
                             MakerEntry{"concat", try_moving},
                             MakerEntry{"slice", try_moving},
                             MakerEntry{"transpose", try_moving},
                             MakerEntry{"resize", try_moving},
                             MakerEntry{"reshape", try_moving},
                             MakerEntry{"prelu", try_moving},
                             MakerEntry{"quantize", try_unary},
                             MakerEntry{"dequantize", try_unary},
                             MakerEntry{"requantize", try_unary},
                             MakerEntry{"relu", try_unary},
                             MakerEntry{"relu6", try_unary},
                             MakerEntry{"clamp", try_unary},
                             MakerEntry{"leaky_relu", try_unary},
                             MakerEntry{"hard_swish", try_unary},
                             MakerEntry{"sigmoid", try_unary},
                             MakerEntry{"tanh", try_unary},
                             MakerEntry{"softmax", try_unary},
                             MakerEntry{"lut", try_unary}};

/// Null for an op that has no generator.
VectorLayerMaker maker_of(std::string_view op) {
  const auto entry =
      std::find_if(kMakers.begin(), kMakers.end(), [&](const MakerEntry& e) { return e.op == op; });
  return entry == kMakers.end() ? nullptr : entry->make;
}

std::vector<std::string_view> generated_ops() {
  std::vector<std::string_view> ops{"depthwise_conv2d"};
  for (const MakerEntry& entry : kMakers) ops.push_back(entry.op);
  return ops;
}

/// Layers are lowered by the types that they have, and by `per_tensor` if their weights have one
/// scale. A variant that those do not select would give vectors of the op's own rules under the
/// variant's name.
void require_layer_reaches(const Profile::Choice& choice, std::string_view phrase) {
  const size_t space = choice.name.find(' ');
  if (space == std::string::npos || choice.rules->when.count() > 0) return;
  if (choice.name.substr(space + 1) == "per_tensor") return;
  throw Error({ErrorCode::unsupported, fmt::format("op \"{}\"", phrase),
               "a variant without `when`, which the types of a layer do not select",
               "an op, or a variant that types select",
               fmt::format("it is only reached by facsim requantize --op \"{}\"", phrase)});
}

}  // namespace

VectorTarget vector_target(const Profile& profile, std::string_view phrase) {
  // No profile has rules of reshape: it moves the codes that convolutions make.
  const bool is_reshape = phrase == "reshape";
  Profile::Choice choice = profile.choose(is_reshape ? requantize_op(profile) : phrase);
  if (is_reshape) choice.name = phrase;
  std::string op = choice.name.substr(0, choice.name.find(' '));
  if (op == "depthwise_conv2d") op = "conv2d";
  if (maker_of(op) == nullptr) {
    throw Error({ErrorCode::unsupported, "op " + op, "no generator of vectors",
                 fmt::format("one of {}", fmt::join(generated_ops(), ", ")), ""});
  }
  require_layer_reaches(choice, phrase);
  // A type word is the operands' type, which chose the rules; the output's follows it unless the
  // profile sets one.
  const OpRules& rules = *choice.rules;
  const bool own_output = rules.output_types != rules.activation_types;
  return {profile,
          op,
          choice.name,
          rules,
          own_output ? rules.activation_types.front() : choice.output,
          rules.weight_types.front(),
          choice.output};
}

std::shared_ptr<const sim::Op> lower_layer(const VectorLayer& layer, const Profile& profile) {
  return lower(layer.graph, profile).nodes.front().op;
}

Tensor compute_layer(const VectorLayer& layer, const Profile& profile) {
  const auto op = lower_layer(layer, profile);
  std::vector<Shape> shapes;
  std::vector<const Tensor*> inputs;
  for (const Tensor& x : layer.inputs) {
    shapes.push_back(x.shape());
    inputs.push_back(&x);
  }
  Tensor output(op->output_dtype(), op->output_shape(shapes));
  op->run(inputs, output, {sim::Isa::scalar, nullptr, false});
  return output;
}

VectorLayer make_layer(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  const VectorLayerMaker make = maker_of(target.op);
  for (int i = 1;; ++i) {
    try {
      VectorLayer layer = make(target, dice, strategy);
      compute_layer(layer, target.profile);
      return layer;
    } catch (const Error&) {
      if (i == kTries) throw;
    }
  }
}

}  // namespace facsim::backends::detail
