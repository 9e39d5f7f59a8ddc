// SPDX-License-Identifier: Apache-2.0
// Small layers that may tell rules apart.
#include <algorithm>
#include <cmath>
#include <map>

#include "backends/parity/identify_layers-internal.h"
#include "backends/parity/op_equality-internal.h"
#include "backends/parity/vectors_gen_suite-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

/// Values of one output: larger layers are no use to whoever runs them on a device.
constexpr int64_t kMostOutputs = 2048;

VectorStrategy layer_strategy(VectorDice& dice) {
  return dice.pick({VectorStrategy::ties, VectorStrategy::ties, VectorStrategy::ties,
                    VectorStrategy::edges, VectorStrategy::overflow, VectorStrategy::random,
                    VectorStrategy::random});
}

/// The target's operand types as in a recorded case, which the profile's own need not be.
void take_types(const OperandTypes& types, VectorTarget& target) {
  target.input = types.input.value_or(target.input);
  target.weight = types.weight.value_or(target.weight);
  target.output = types.output.value_or(target.output);
}

IntTensor* tensor_named(IntGraph& graph, std::string_view name) {
  for (IntTensor& tensor : graph.tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

/// Sums beyond what steering reaches: biases and codes at the ends of their types, so that
/// accumulators leave their width, or large sums under multipliers of 2^-28 to 2^-16, which show a
/// multiplier's last bits.
void strain(VectorLayer& layer, VectorDice& dice) {
  IntTensor* bias = tensor_named(layer.graph, "bias");
  IntTensor* output = tensor_named(layer.graph, "output");
  IntTensor* weights = tensor_named(layer.graph, "weights");
  if (bias == nullptr || !bias->data || bias->dtype == DType::float32 || output == nullptr ||
      !output->qparams || weights == nullptr || !weights->qparams || !bias->qparams) {
    return;
  }
  const sim::IntType type = bias->qparams->type;
  Tensor codes = *bias->data;
  const int64_t reach = std::min<int64_t>(type.max(), INT32_MAX);
  const bool at_ends = dice.one_in(2);
  for (int64_t i = 0; i < codes.numel(); ++i) {
    const int64_t near = dice.between(0, std::min<int64_t>(5000, reach));
    codes.set_int(i,
                  at_ends ? dice.pick({reach - near, near - reach}) : dice.between(-reach, reach));
  }
  bias->data = codes;
  if (at_ends) {
    for (Tensor& x : layer.inputs) {
      if (x.dtype() == DType::float32) continue;
      const sim::IntType own = code_type(x);
      for (int64_t i = 0; i < x.numel(); ++i) {
        if (dice.one_in(2)) x.set_int(i, dice.pick({own.min(), own.max()}));
      }
    }
  }
  const float product = bias->qparams->scale.front();
  const int exponent = static_cast<int>(dice.between(-28, -16));
  const float old = output->qparams->scale.front();
  const bool is_power = std::ldexp(1.0f, std::ilogb(old)) == old;
  const float wanted = product / (is_power ? std::ldexp(1.0f, exponent)
                                           : dice.magnitude(static_cast<float>(exponent),
                                                            static_cast<float>(exponent + 1)));
  output->qparams->scale = {is_power ? std::ldexp(1.0f, std::ilogb(wanted)) : wanted};
}

GeneratedCase layer_case(const VectorTarget& target, VectorLayer layer, VectorStrategy strategy) {
  GeneratedCase made;
  made.op = made.family = target.rules_op.substr(0, target.rules_op.find(' '));
  made.strategy = strategy;
  made.golden = compute_layer(layer, target.profile);
  made.output_type = target.output;
  for (size_t i = 0; i < layer.inputs.size(); ++i) {
    const auto number = static_cast<size_t>(layer.graph.inputs[i]);
    made.arrays.emplace_back(layer.graph.tensors[number].name, layer.inputs[i]);
  }
  for (const IntTensor& tensor : layer.graph.tensors) {
    if (tensor.data) made.arrays.emplace_back(tensor.name, *tensor.data);
  }
  // Nobody knows yet whose layer it is.
  layer.graph.profile.clear();
  layer.graph.profile_fingerprint.clear();
  made.graph = std::move(layer.graph);
  return made;
}

std::optional<GeneratedCase> try_directed(const LayerRule& rule, const std::string& key,
                                          const OperandTypes* like, VectorDice& dice) {
  try {
    VectorTarget target = vector_target(*rule.profile, key);
    if (like != nullptr) take_types(*like, target);
    const VectorStrategy strategy = layer_strategy(dice);
    VectorLayer layer = make_layer(target, dice, strategy);
    if (dice.one_in(4)) {
      VectorLayer strained = layer;
      strain(strained, dice);
      try {
        compute_layer(strained, target.profile);
        layer = std::move(strained);
      } catch (const Error&) {
        // A platform that refuses an accumulator outside its width keeps the layer as it was.
      }
    }
    GeneratedCase made = layer_case(target, std::move(layer), strategy);
    if (made.golden.numel() > kMostOutputs) return std::nullopt;
    return made;
  } catch (const Error&) {
    return std::nullopt;  // no generator of the op, or nothing to steer
  }
}

}  // namespace

std::optional<GeneratedCase> directed_layer(const LayerRule& rule,
                                            const std::vector<IdentifyCase>& cases,
                                            const std::vector<size_t>& examples, VectorDice& dice) {
  std::vector<size_t> kinds;
  for (size_t kind = 0; kind < rule.keys.size(); ++kind) {
    if (!rule.keys[kind].empty()) kinds.push_back(kind);
  }
  if (kinds.empty()) return std::nullopt;
  const size_t kind =
      kinds[static_cast<size_t>(dice.between(0, static_cast<int64_t>(kinds.size()) - 1))];
  const std::vector<std::string>& keys = rule.keys[kind];
  const std::string& key =
      keys[static_cast<size_t>(dice.between(0, static_cast<int64_t>(keys.size()) - 1))];
  // Of several ops in one case the arrays are not each one's operands.
  const OperandTypes like = cases[examples[kind]].types();
  if (keys.size() == 1) {
    if (auto made = try_directed(rule, key, &like, dice)) return made;
  }
  return try_directed(rule, key, nullptr, dice);
}

IdentifyOutcomes layer_outcomes(const GeneratedCase& made,
                                const std::vector<const LayerRule*>& rules) {
  const VectorLayer layer = layer_of(made);
  std::vector<const Tensor*> inputs;
  std::vector<Shape> shapes;
  for (const Tensor& x : layer.inputs) {
    inputs.push_back(&x);
    shapes.push_back(x.shape());
  }
  std::map<std::string, std::optional<int64_t>> known;  // by op_text
  IdentifyOutcomes outcomes;
  for (const LayerRule* rule : rules) {
    std::optional<int64_t> outcome;
    try {
      const auto op = lower_layer(layer, *rule->profile);
      const std::optional<std::string> text = op_text(*op);
      const auto same = text ? known.find(*text) : known.end();
      if (same != known.end()) {
        outcome = same->second;
      } else {
        try {
          Tensor output(op->output_dtype(), op->output_shape(shapes));
          op->run(inputs, output, {sim::Isa::best, nullptr, false});
          outcome = tensor_hash(output);
        } catch (const Error&) {
          outcome.reset();  // refuses an accumulator
        }
        if (text) known.emplace(*text, outcome);
      }
    } catch (const Error&) {
      outcome.reset();  // refuses the layer
    }
    outcomes.push_back(outcome);
  }
  return outcomes;
}

}  // namespace facsim::backends::detail
