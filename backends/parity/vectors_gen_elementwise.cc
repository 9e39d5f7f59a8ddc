// SPDX-License-Identifier: Apache-2.0
// Layers of ops that work code by code, of one and of two operands.
#include <algorithm>
#include <cmath>

#include "backends/parity/vectors_gen_build-internal.h"
#include "sim/ops/interpolated_table.h"

namespace facsim::backends::detail {

namespace {

Tensor all_codes(sim::IntType type) {
  const int64_t count = type.max() - type.min() + 1;
  Tensor codes(type.storage(), {1, count});
  for (int64_t i = 0; i < count; ++i) codes.set_int(i, type.min() + i);
  return codes;
}

/// Reals on and beside the middle between codes, and at the ends.
Tensor reals_for(const quant::QParams& output, VectorDice& dice, VectorStrategy strategy) {
  Tensor x(DType::float32, {1, 128});
  const float scale = output.scale.front();
  for (float& value : x.values<float>()) {
    const auto code = static_cast<float>(dice.between(output.quant_min - 2, output.quant_max + 2) -
                                         output.zero_point.front());
    value = (code + dice.pick({0.5f, -0.5f, 0.0f, 0.25f})) * scale;
    if (dice.one_in(3)) value = std::nextafter(value, dice.pick({-INFINITY, INFINITY}));
    if (strategy == VectorStrategy::random) value = (code + dice.magnitude(-8, 0)) * scale;
    if (strategy == VectorStrategy::edges && dice.one_in(4)) {
      value = dice.pick({0.0f, -0.0f, 3e38f, -3e38f, 1e-38f});
    }
  }
  return x;
}

/// An entry per code or, where int16 codes interpolate, 513 of int16, which TOSA's table widens.
void choose_table(const VectorTarget& target, VectorDice& dice, NodeAttributes& attributes,
                  quant::QParams& output) {
  const std::string& algorithm = target.rules.algorithm;
  const bool interpolates = algorithm.ends_with(".table_int16");
  const sim::IntType entry = interpolates ? sim::kInt16 : target.output;
  const int64_t count =
      interpolates ? sim::kInterpolatedEntries : target.input.max() - target.input.min() + 1;
  for (int64_t i = 0; i < count; ++i) {
    attributes.table.push_back(dice.between(entry.min(), entry.max()));
  }
  if (algorithm != "tosa.table_int16") return;
  output.type = sim::kInt32;
  output.zero_point = {0};
  output.quant_min = output.type.min();
  output.quant_max = output.type.max();
}

}  // namespace

VectorLayer try_binary(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  VectorLayer layer = empty_layer(target);
  NodeAttributes& attributes = layer.graph.nodes.front().attributes;
  if (target.op != "minimum" && target.op != "maximum" && dice.one_in(3)) {
    attributes.activation = Activation::relu;
  }
  const bool pairs = strategy == VectorStrategy::exhaustive8 && target.input.bits <= 8;
  const bool same = target.op == "minimum" || target.op == "maximum" || dice.one_in(8);
  float scale = dice.magnitude(-7, -3);
  if (strategy == VectorStrategy::ties) scale = std::ldexp(1.0f, std::ilogb(scale));
  const auto factor = [&] {
    if (same) return 1.0f;
    if (strategy == VectorStrategy::ties) {
      return dice.pick({0.5f, 1.0f, 1.5f, 0.25f, 0.75f, 2.0f});
    }
    if (strategy == VectorStrategy::edges) return dice.magnitude(-6, 3);
    return dice.magnitude(-1.5f, 1.5f);
  };
  const quant::QParams first =
      activation_qparams(target, dice, target.input, scale * factor(), strategy);
  quant::QParams second =
      activation_qparams(target, dice, target.input, scale * factor(), strategy);
  float output_scale = scale * factor();
  if (target.op == "mul") output_scale = first.scale.front() * dice.magnitude(-2, 2);
  quant::QParams output = activation_qparams(target, dice, target.output, output_scale, strategy);
  if (same) second = output = first;
  Tensor a, b;
  if (pairs) {
    const int64_t count = target.input.max() - target.input.min() + 1;
    a = Tensor(target.input.storage(), {1, count, count, 1});
    b = Tensor(target.input.storage(), a.shape());
    for (int64_t i = 0; i < a.numel(); ++i) {
      a.set_int(i, target.input.min() + i / count);
      b.set_int(i, target.input.min() + i % count);
    }
  } else {
    const Shape shape{1, 4, 4, dice.between(4, 16)};
    a = codes_of(dice, target.input, shape, strategy);
    b = codes_of(dice, target.input, shape, strategy);
  }
  add_input(layer, "input1", a, first);
  add_input(layer, "input2", b, second);
  add_output(layer, output.type.storage(), output);
  return layer;
}

VectorLayer try_unary(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  VectorLayer layer = empty_layer(target);
  NodeAttributes& attributes = layer.graph.nodes.front().attributes;
  attributes.alpha = dice.magnitude(-6, -1);
  float scale = dice.magnitude(-7, -2);
  if (strategy == VectorStrategy::ties) scale = std::ldexp(1.0f, std::ilogb(scale));
  const quant::QParams input = activation_qparams(target, dice, target.input, scale, strategy);
  float out_scale = scale * dice.magnitude(-1, 1);
  if (strategy == VectorStrategy::ties) out_scale = scale * dice.pick({2.0f, 4.0f, 0.5f, 0.75f});
  quant::QParams output = activation_qparams(target, dice, target.output, out_scale, strategy);
  // Functions with a fixed output range, and ops that keep their codes.
  const sim::IntType type = target.output;
  switch (dice.between(0, 3)) {
    case 0:
      output = input;
      break;
    case 1:
      output.scale = {std::ldexp(1.0f, -type.bits)};
      output.zero_point = {type.min()};
      if (type.bits > 8) output.scale = {std::ldexp(1.0f, 1 - type.bits)};
      if (type.bits > 8) output.zero_point = {0};
      break;
    case 2:
      output.scale = {std::ldexp(1.0f, 1 - type.bits)};
      output.zero_point = {type.is_signed ? 0 : (type.max() + 1) / 2};
      break;
    default:
      break;
  }
  if (target.op == "lut") choose_table(target, dice, attributes, output);
  if (target.op == "quantize") {
    add_input(layer, "input", reals_for(output, dice, strategy), std::nullopt);
  } else if (target.input.bits <= 8 && strategy != VectorStrategy::random) {
    add_input(layer, "input", all_codes(target.input), input);
  } else {
    add_input(layer, "input", codes_of(dice, target.input, {2, 64}, strategy), input);
  }
  if (target.op == "dequantize") {
    add_output(layer, DType::float32, std::nullopt);
  } else {
    add_output(layer, output.type.storage(), output);
  }
  return layer;
}

}  // namespace facsim::backends::detail
