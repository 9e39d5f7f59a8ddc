// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "backends/onnx/to_onnx-internal.h"

namespace facsim::backends::detail {

namespace {

/// A QLinear operator with inputs (code, scale, zero point) of each operand and the output's scale
/// and zero point.
void write_microsoft(OnnxBuilder& builder, const IntNode& node, OnnxNode op) {
  for (const int number : node.inputs) {
    op.inputs.insert(op.inputs.end(),
                     {builder.codes(number), builder.scale(number), builder.zero_point(number)});
  }
  op.inputs.push_back(builder.scale(node.output));
  op.inputs.push_back(builder.zero_point(node.output));
  op.domain = kMicrosoft;
  op.name = node.name;
  const std::string out = builder.codes_output(node);
  builder.add(std::move(op), out);
  builder.finish_codes(node, out);
}

bool has_8_bits(const OnnxBuilder& builder, const IntNode& node) {
  bool all = builder.output(node).qparams->type.bits == 8;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    all = all && builder.input(node, i).qparams->type.bits == 8;
  }
  return all;
}

bool takes_codes(const OnnxBuilder& builder, const IntNode& node) {
  return builder.form() == OnnxForm::qoperator && has_8_bits(builder, node);
}

/// NHWC extents align at the end; NCHW ones do only if both operands have rank 4 or neither has
/// channels of its own.
void check_broadcast(const OnnxBuilder& builder, const IntNode& node) {
  const Shape &a = builder.input(node, 0).shape, &b = builder.input(node, 1).shape;
  if (a.rank() == b.rank() || (a.rank() != 4 && b.rank() != 4)) return;
  const Shape& low = a.rank() < b.rank() ? a : b;
  if (low.numel() == 1) return;
  builder.unsupported(node, fmt::format("operands {} and {}", to_string(a), to_string(b)),
                      "equal ranks", "channels are not the last axis in ONNX");
}

}  // namespace

void write_onnx_elementwise(OnnxBuilder& builder, const IntNode& node) {
  check_broadcast(builder, node);
  const bool is_add = node.op == "add", is_mul = node.op == "mul";
  if ((is_add || is_mul) && takes_codes(builder, node)) {
    write_microsoft(builder, node, onnx_node(is_add ? "QLinearAdd" : "QLinearMul", {}));
    return;
  }
  const char* const op = is_add                 ? "Add"
                         : is_mul               ? "Mul"
                         : node.op == "sub"     ? "Sub"
                         : node.op == "minimum" ? "Min"
                                                : "Max";
  builder.real_operator(node, onnx_node(op, {}));
}

void write_onnx_prelu(OnnxBuilder& builder, const IntNode& node) {
  check_broadcast(builder, node);
  if (builder.input(node, 1).qparams->per_channel()) {
    builder.unsupported(node, "slopes with a scale per channel", "one scale");
  }
  builder.real_operator(node, onnx_node("PRelu", {}));
}

void write_onnx_unary(OnnxBuilder& builder, const IntNode& node) {
  const bool codes = takes_codes(builder, node);
  if (node.op == "leaky_relu") {
    std::vector<OnnxAttribute> alpha{onnx_attribute("alpha", node.attributes.alpha)};
    if (codes) {
      write_microsoft(builder, node, onnx_node("QLinearLeakyRelu", {}, std::move(alpha)));
    } else {
      builder.real_operator(node, onnx_node("LeakyRelu", {}, std::move(alpha)));
    }
  } else if (node.op == "sigmoid") {
    if (codes) {
      write_microsoft(builder, node, onnx_node("QLinearSigmoid", {}));
    } else {
      builder.real_operator(node, onnx_node("Sigmoid", {}));
    }
  } else if (node.op == "tanh") {
    builder.real_operator(node, onnx_node("Tanh", {}));
  } else if (node.op == "hard_swish") {
    builder.real_operator(node, onnx_node("HardSwish", {}));
  } else {
    // relu, relu6: requantization whose output's bounds are the activation's.
    IntNode bounded = node;
    bounded.attributes.activation = node.op == "relu" ? Activation::relu : Activation::relu6;
    builder.quantized(bounded, builder.dequantized(node, node.inputs[0]));
  }
}

void write_onnx_clamp(OnnxBuilder& builder, const IntNode& node) {
  if (builder.input(node, 0).qparams != builder.output(node).qparams) {
    builder.unsupported(node, "scales that differ between input and output", "equal scales");
  }
  builder.clip_codes(node, builder.codes(node.inputs[0]));
}

void write_onnx_lut(OnnxBuilder& builder, const IntNode& node) {
  const sim::IntType in = builder.input(node, 0).qparams->type;
  const sim::IntType out = builder.output(node).qparams->type;
  const std::vector<int64_t>& table = node.attributes.table;
  Tensor codes(out.storage(), Shape{static_cast<int64_t>(table.size())});
  for (size_t i = 0; i < table.size(); ++i) codes.set_int(static_cast<int64_t>(i), table[i]);
  OnnxNode cast = onnx_node("Cast", {builder.codes(node.inputs[0])},
                            {onnx_attribute("to", static_cast<int64_t>(OnnxType::int32))});
  cast.name = node.name + "/index";
  std::string index = builder.add(std::move(cast));
  if (in.min() != 0) {
    // Gather counts negative indices from the end, so the table starts with the codes from 0 on.
    const auto negative = static_cast<int64_t>(-in.min());
    Tensor rotated(out.storage(), codes.shape());
    for (int64_t i = 0; i < codes.numel(); ++i) {
      rotated.set_int(i, codes.int_at((i + negative) % codes.numel()));
    }
    codes = rotated;
  }
  OnnxNode gather =
      onnx_node("Gather", {builder.constant(node.name + "/table", *onnx_type(out), codes), index},
                {onnx_attribute("axis", int64_t{0})});
  gather.name = node.name;
  builder.add(std::move(gather), builder.output(node).name);
  builder.finish_codes(node, builder.output(node).name);
}

void write_onnx_softmax(OnnxBuilder& builder, const IntNode& node) {
  if (node.attributes.beta != 1.0f) {
    builder.unsupported(node, fmt::format("beta {}", node.attributes.beta), "1");
  }
  const int rank = builder.input(node, 0).shape.rank();
  builder.real_operator(
      node, onnx_node("Softmax", {}, {onnx_attribute("axis", file_axis(rank - 1, rank))}));
}

void write_onnx_quantizer(OnnxBuilder& builder, const IntNode& node) {
  if (node.op == "requantize") {
    builder.quantized(node, builder.dequantized(node, node.inputs[0]));
    return;
  }
  const bool to_real = node.op == "dequantize";
  const int scaled = to_real ? node.inputs[0] : node.output;
  OnnxNode op =
      onnx_node(to_real ? "DequantizeLinear" : "QuantizeLinear",
                {builder.codes(node.inputs[0]), builder.scale(scaled), builder.zero_point(scaled)});
  op.name = node.name;
  builder.add(std::move(op), builder.output(node).name);
  builder.set_codes(node.output, builder.output(node).name);
}

}  // namespace facsim::backends::detail
