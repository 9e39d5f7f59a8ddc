// SPDX-License-Identifier: Apache-2.0
// Elementwise ops, activations, pools and Concat on codes.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/onnx/quantized-internal.h"

namespace facsim::backends::detail {

namespace {

/// The operand's tensor. A constant gets leading axes of extent 1 up to `rank`, so that its axes
/// align inside too; a computed operand has the batch on axis 0 and must have that rank.
int with_rank(QuantizedBuilder& builder, const OnnxNode& node, QuantizedOperand operand, int rank) {
  const Shape shape = builder.shape_of(operand.codes);
  if (shape.rank() == rank) return builder.tensor_of(node, operand);
  const auto* own = std::get_if<Constant>(&operand.codes);
  if (own == nullptr) {
    QuantizedBuilder::refuse(node, "a computed operand of shape " + to_string(shape),
                             "rank " + std::to_string(rank));
  }
  std::vector<int64_t> extents(static_cast<size_t>(rank - shape.rank()), 1);
  extents.insert(extents.end(), shape.begin(), shape.end());
  OnnxTensor reshaped = *own->tensor;
  reshaped.values = reshaped.values.reshaped(Shape(std::move(extents)));
  if (operand.qparams.per_channel()) operand.qparams.channel_axis += rank - shape.rank();
  operand.codes = Constant{&builder.keep(std::move(reshaped))};
  return builder.tensor_of(node, operand);
}

/// Codes of a real value as QuantizeLinear gives them: half_even(v / scale) + zero point, cut.
int64_t code_of(float value, const quant::QParams& qparams) {
  const double rounded = sim::round_real(sim::Rounding::half_even, value / qparams.scale.front());
  const double code = rounded + static_cast<double>(qparams.zero_point.front());
  return static_cast<int64_t>(std::clamp(code, static_cast<double>(qparams.type.min()),
                                         static_cast<double>(qparams.type.max())));
}

bool fits_table(const QuantizedBuilder& builder, int x) {
  const auto& qparams = builder.tensor(x).qparams;
  return qparams && !qparams->per_channel() && qparams->type.bits <= 8;
}

int emit_pool(QuantizedBuilder& builder, const OnnxNode& node, const QuantizedOperand& x,
              const QuantizedResult& result, bool global) {
  if (integer_attribute(node, "channels_last", 0) != 0) {
    QuantizedBuilder::refuse(node, "channels_last", "0");
  }
  const Shape shape = builder.shape_of(x.codes);
  NodeAttributes attributes;
  attributes.activation = result.activation;
  if (!global) {
    attributes.window = window_of(node, shape, kernel_of(node), WindowAxes::both);
    attributes.count_include_pad = integer_attribute(node, "count_include_pad", 0) != 0;
  }
  return builder.add(node, global ? "global_avg_pool" : "avg_pool2d", {builder.tensor_of(node, x)},
                     attributes, result.name, result.qparams);
}

int emit_softmax(QuantizedBuilder& builder, const OnnxNode& node, const QuantizedOperand& x,
                 const QuantizedResult& result) {
  const Shape shape = builder.shape_of(x.codes);
  const int rank = shape.rank();
  // QLinearSoftmax has the opset of the Softmax it stands for as an attribute.
  const int64_t opset = integer_attribute(node, "opset", builder.opset());
  int64_t axis = integer_attribute(node, "axis", opset < 13 ? 1 : -1);
  if (axis < 0) axis += rank;
  // Before opset 13 all axes from `axis` on are one.
  int64_t behind = 1;
  for (int i = static_cast<int>(std::max<int64_t>(axis, 0)) + 1; i < rank; ++i) behind *= shape[i];
  const int inner = QuantizedBuilder::inner_axis(static_cast<int>(axis), rank);
  if (axis < 1 || axis >= rank || inner != rank - 1 || (opset < 13 && behind != 1)) {
    QuantizedBuilder::refuse(node, "axis " + std::to_string(axis) + " of " + to_string(shape),
                             "the last axis, or the channels of an image");
  }
  return builder.add(node, "softmax", {builder.tensor_of(node, x)}, {}, result.name,
                     result.qparams);
}

}  // namespace

int emit_binary(QuantizedBuilder& builder, const OnnxNode& node, const char* op,
                const QuantizedOperand& a, const QuantizedOperand& b,
                const QuantizedResult& result) {
  const int rank = std::max(builder.shape_of(a.codes).rank(), builder.shape_of(b.codes).rank());
  const int lhs = with_rank(builder, node, a, rank);
  const int rhs = with_rank(builder, node, b, rank);
  NodeAttributes attributes;
  attributes.activation = result.activation;
  return builder.add(node, op, {lhs, rhs}, attributes, result.name, result.qparams);
}

int emit_unary(QuantizedBuilder& builder, const OnnxNode& node, const QuantizedOperand& x,
               const QuantizedResult& result) {
  std::string op = node.op_type;
  if (op.starts_with("QLinear")) op.erase(0, 7);
  if (op == "AveragePool") return emit_pool(builder, node, x, result, false);
  if (op == "GlobalAveragePool") return emit_pool(builder, node, x, result, true);
  if (op == "Softmax") return emit_softmax(builder, node, x, result);
  const int input = builder.tensor_of(node, x);
  NodeAttributes attributes;
  if (op == "Sigmoid") {
    return builder.add(node, "sigmoid", {input}, attributes, result.name, result.qparams);
  }
  attributes.alpha = real_attribute(node, "alpha", 0.01f);
  if (!std::isfinite(attributes.alpha)) QuantizedBuilder::fail(node, "alpha", "a finite number");
  return builder.add(node, "leaky_relu", {input}, attributes, result.name, result.qparams);
}

int emit_concat(QuantizedBuilder& builder, const OnnxNode& node,
                const std::vector<QuantizedOperand>& inputs, const QuantizedResult& result) {
  std::vector<int> operands;
  for (const QuantizedOperand& input : inputs) {
    operands.push_back(builder.tensor_of(node, input));
  }
  const int rank = operands.empty() ? 0 : builder.tensor(operands[0]).shape.rank();
  int64_t axis = integer_attribute(node, "axis", 1);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) {
    QuantizedBuilder::fail(node, "axis " + std::to_string(axis), "an axis of the inputs");
  }
  for (const int operand : operands) {
    if (builder.tensor(operand).data) {
      QuantizedBuilder::refuse(node, "a constant input", "computed ones");
    }
  }
  if (operands.size() > 64) QuantizedBuilder::refuse(node, "more than 64 inputs");
  NodeAttributes attributes;
  attributes.axis = QuantizedBuilder::inner_axis(static_cast<int>(axis), rank);
  return builder.add(node, "concat", operands, attributes, result.name, result.qparams);
}

ClipBounds clip_bounds(const QuantizedBuilder& builder, const OnnxNode& node) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  if (node.op_type == "Relu") return {0, kInfinite};
  const auto bound = [&](size_t input, std::string_view name, float fallback) {
    if (find_attribute(node, name) != nullptr) return real_attribute(node, name, fallback);
    if (!QuantizedBuilder::has_input(node, input)) return fallback;
    const OnnxTensor& value = builder.constant(node, input);
    if (value.values.numel() != 1 || value.values.dtype() != DType::float32) {
      QuantizedBuilder::refuse(node, "bound \"" + node.inputs[input] + "\"", "one real");
    }
    return value.values.data<float>()[0];
  };
  const ClipBounds bounds{bound(1, "min", -kInfinite), bound(2, "max", kInfinite)};
  if (std::isnan(bounds.min) || std::isnan(bounds.max)) {
    QuantizedBuilder::fail(node, "a bound that is no number", "reals");
  }
  return bounds;
}

int emit_clip_table(QuantizedBuilder& builder, const OnnxNode& node, const QuantizedOperand& x,
                    const QuantizedResult& result) {
  const ClipBounds bounds = clip_bounds(builder, node);
  const int input = builder.tensor_of(node, x);
  if (!fits_table(builder, input) || result.qparams.per_channel()) {
    QuantizedBuilder::refuse(node, "codes of more than 8 bits or a scale per channel",
                             "a table of codes");
  }
  const quant::QParams& from = x.qparams;
  NodeAttributes attributes;
  for (int64_t code = from.type.min(); code <= from.type.max(); ++code) {
    const float real = static_cast<float>(code - from.zero_point.front()) * from.scale.front();
    // ONNX: max(min, then max); NaN cannot occur.
    attributes.table.push_back(
        code_of(std::min(std::max(real, bounds.min), bounds.max), result.qparams));
  }
  return builder.add(node, "lut", {input}, attributes, result.name, result.qparams);
}

int emit_code_clip(QuantizedBuilder& builder, const OnnxNode& node, int x,
                   const std::string& output) {
  if (!fits_table(builder, x)) {
    QuantizedBuilder::refuse(node, "codes whose scale is not known yet, or wider than 8 bits",
                             "codes of a quantized op");
  }
  const quant::QParams& qparams = *builder.tensor(x).qparams;
  int64_t low = node.op_type == "Relu" ? 0 : qparams.type.min(), high = qparams.type.max();
  const auto bound = [&](size_t input, int64_t fallback) {
    if (node.op_type == "Relu" || !QuantizedBuilder::has_input(node, input)) return fallback;
    const OnnxTensor& value = builder.constant(node, input);
    if (value.values.numel() != 1 || code_type(value.type) != qparams.type) {
      QuantizedBuilder::fail(node, "bound \"" + node.inputs[input] + "\"",
                             "one " + sim::to_string(qparams.type));
    }
    return value.values.int_at(0);
  };
  low = bound(1, low);
  high = bound(2, high);
  NodeAttributes attributes;
  for (int64_t code = qparams.type.min(); code <= qparams.type.max(); ++code) {
    attributes.table.push_back(std::min(std::max(code, low), high));
  }
  return builder.add(node, "lut", {x}, attributes, output, qparams);
}

}  // namespace facsim::backends::detail
