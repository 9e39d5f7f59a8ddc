// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <fmt/format.h>

#include "backends/graph/permute.h"
#include "backends/onnx/to_onnx-internal.h"

namespace facsim::backends::detail {

namespace {

constexpr std::array<int, 4> kOhwiToIohw{3, 0, 1, 2};

/// Weights and bias of a layer as the patterns take them.
struct LayerOperands {
  std::string weights, bias;
  std::string bias_scale;
  int64_t bias_channels = 0;
};

LayerOperands layer_operands(OnnxBuilder& builder, const IntNode& node, const Tensor& weights) {
  LayerOperands out;
  out.weights = builder.layer_codes(node.inputs[1], weights);
  if (node.inputs.size() < 3) return out;
  const OnnxBias bias = onnx_bias(builder, node);
  out.bias = builder.layer_codes(node.inputs[2], bias.codes);
  if (builder.form() == OnnxForm::qdq) {
    const bool scalar = bias.scale.size() == 1;
    out.bias_channels = scalar ? 0 : static_cast<int64_t>(bias.scale.size());
    out.bias_scale = builder.constant(
        builder.input(node, 2).name + "/scale", OnnxType::float32,
        Tensor::from<float>(scalar ? Shape{} : Shape{out.bias_channels}, bias.scale));
  }
  return out;
}

/// op(real x, real weights, real bias), quantized as `out`: what ONNX Runtime turns into one
/// integer operator.
void write_real_layer(OnnxBuilder& builder, const IntNode& node, const std::string& x, OnnxNode op,
                      const LayerOperands& operands, int weight_axis, const std::string& out) {
  const bool per_channel = builder.input(node, 1).qparams->per_channel();
  op.inputs = {
      builder.dequantized(node, x, node.inputs[0]),
      builder.dequantized(node, operands.weights, node.inputs[1], per_channel ? weight_axis : -1)};
  if (!operands.bias.empty()) {
    const std::string name = builder.input(node, 2).name;
    const Shape channels = operands.bias_channels == 0 ? Shape{} : Shape{operands.bias_channels};
    const std::string zero =
        builder.constant(name + "/zero_point", OnnxType::int32, Tensor(DType::int32, channels));
    OnnxNode bias = onnx_node("DequantizeLinear", {operands.bias, operands.bias_scale, zero});
    if (operands.bias_channels != 0) bias.attributes.push_back(onnx_attribute("axis", int64_t{0}));
    bias.name = fmt::format("{}/{}/real", node.name, name);
    op.inputs.push_back(builder.add(std::move(bias)));
  }
  op.name = node.name;
  builder.quantize(
      node, builder.add(std::move(op), builder.fresh(builder.output(node).name + "/real")), out);
}

void write_real_layer(OnnxBuilder& builder, const IntNode& node, const std::string& x, OnnxNode op,
                      const LayerOperands& operands, int weight_axis) {
  const std::string out = builder.codes_output(node);
  write_real_layer(builder, node, x, std::move(op), operands, weight_axis, out);
  builder.finish_codes(node, out);
}

/// The scales and codes of x and w as QLinearConv and QGemm begin.
std::vector<std::string> layer_inputs(OnnxBuilder& builder, const IntNode& node,
                                      const std::string& x, const std::string& weights) {
  const int in = node.inputs[0], w = node.inputs[1];
  for (const IntTensor* t : {&builder.tensor(in), &builder.tensor(w), &builder.output(node)}) {
    if (t->qparams->type.bits == 8) continue;
    OnnxBuilder::unsupported(node, fmt::format("{}-bit \"{}\"", t->qparams->type.bits, t->name),
                             "8 bits in this operator", "the qdq form has other widths");
  }
  return {x,       builder.scale(in), builder.zero_point(in),
          weights, builder.scale(w),  builder.zero_point(w)};
}

void write_code_layer(OnnxBuilder& builder, const IntNode& node, OnnxNode op) {
  op.name = node.name;
  const std::string out = builder.codes_output(node);
  builder.add(std::move(op), out);
  builder.finish_codes(node, out);
}

/// Conv on `x` in the form's way, its codes under the name `out`.
void write_conv(OnnxBuilder& builder, const IntNode& node, const std::string& x,
                std::vector<OnnxAttribute> attributes, const LayerOperands& operands,
                const std::string& out) {
  if (builder.form() == OnnxForm::qdq) {
    write_real_layer(builder, node, x, onnx_node("Conv", {}, std::move(attributes)), operands, 0,
                     out);
    return;
  }
  std::vector<std::string> inputs = layer_inputs(builder, node, x, operands.weights);
  inputs.push_back(builder.scale(node.output));
  inputs.push_back(builder.zero_point(node.output));
  if (!operands.bias.empty()) inputs.push_back(operands.bias);
  OnnxNode op = onnx_node("QLinearConv", std::move(inputs), std::move(attributes));
  op.name = node.name;
  builder.add(std::move(op), out);
}

/// Codes `value` with axes (N, extents...).
std::string reshaped_codes(OnnxBuilder& builder, const std::string& name, const std::string& value,
                           std::vector<int64_t> extents) {
  extents.insert(extents.begin(), 0);  // as it is: the batch
  OnnxNode reshape =
      onnx_node("Reshape", {value, builder.integers(name + "/shape", std::move(extents))});
  reshape.name = name;
  return builder.add(std::move(reshape));
}

OnnxNode swapped_codes(const std::string& name, const std::string& value) {
  OnnxNode swap =
      onnx_node("Transpose", {value}, {onnx_attribute("perm", std::vector<int64_t>{0, 2, 1})});
  swap.name = name;
  return swap;
}

/// Rows (N, …, in) as pixels of a 1 x 1 convolution: the same sums, and unlike MatMul it has a bias
/// and a scale per channel that ONNX Runtime takes into one integer operator. Rank 4 is an image in
/// the file already.
void write_rows(OnnxBuilder& builder, const IntNode& node) {
  const Shape &x_shape = builder.input(node, 0).shape, &y_shape = builder.output(node).shape;
  const Tensor& weights = *builder.input(node, 1).data;
  const int64_t channels = weights.shape()[0], taps = weights.shape()[1];
  const int64_t rows = x_shape.numel() / taps;
  if (x_shape.rank() != 3 && x_shape.rank() != 4) {
    builder.unsupported(node, fmt::format("rows of rank {}", x_shape.rank()), "rank 3 or 4");
  }
  const LayerOperands operands =
      layer_operands(builder, node, weights.reshaped({channels, taps, 1, 1}));
  std::vector<OnnxAttribute> attributes{onnx_attribute("kernel_shape", std::vector<int64_t>{1, 1})};
  std::string x = builder.codes(node.inputs[0]);
  const std::string out = builder.codes_output(node);
  if (x_shape.rank() == 4) {
    write_conv(builder, node, x, std::move(attributes), operands, out);
  } else {
    x = builder.add(swapped_codes(node.name + "/channels_first", x));
    x = reshaped_codes(builder, node.name + "/pixels", x, {taps, rows, 1});
    const std::string sums = builder.fresh(builder.output(node).name + "/pixels");
    write_conv(builder, node, x, std::move(attributes), operands, sums);
    const std::string flat =
        reshaped_codes(builder, node.name + "/rows", sums, {channels, y_shape[1]});
    builder.add(swapped_codes(node.name + "/channels_last", flat), out);
  }
  builder.finish_codes(node, out);
}

}  // namespace

OnnxBias onnx_bias(const OnnxBuilder& builder, const IntNode& node) {
  const IntTensor& bias = builder.input(node, 2);
  if (bias.dtype == DType::float32) {
    builder.unsupported(node, fmt::format("a real bias \"{}\"", bias.name), "int32 codes",
                        "the network's profile adds biases in float");
  }
  OnnxBias out;
  const float x = builder.input(node, 0).qparams->scale.front();
  for (const float w : builder.input(node, 1).qparams->scale) out.scale.push_back(x * w);
  if (bias.qparams) {
    const std::vector<float>& own = bias.qparams->scale;
    const size_t channels = std::max(own.size(), out.scale.size());
    for (size_t c = 0; c < channels; ++c) {
      const float scale = own[own.size() == 1 ? 0 : c];
      const float unit = out.scale[out.scale.size() == 1 ? 0 : c];
      // A product of float32 scales, however it was rounded.
      if (std::abs(scale - unit) <= 1e-6f * unit) continue;
      builder.unsupported(node, fmt::format("a bias \"{}\" of scale {}", bias.name, scale),
                          fmt::format("input scale times weight scale, {}", unit),
                          "the format adds biases to the accumulator");
    }
    for (const int64_t zero_point : bias.qparams->zero_point) {
      if (zero_point != 0) builder.unsupported(node, "a bias with a zero point", "zero point 0");
    }
    if (own.size() == out.scale.size()) out.scale = own;
  }
  if (bias.dtype == DType::int32) {
    out.codes = *bias.data;
    return out;
  }
  out.codes = Tensor(DType::int32, bias.shape);
  for (int64_t i = 0; i < bias.data->numel(); ++i) {
    const int64_t code = bias.data->int_at(i);
    if (code < sim::kInt32.min() || code > sim::kInt32.max()) {
      builder.unsupported(node, fmt::format("bias code {}", code), "int32 codes");
    }
    out.codes.set_int(i, code);
  }
  return out;
}

void write_onnx_conv2d(OnnxBuilder& builder, const IntNode& node) {
  const Tensor& weights = *builder.input(node, 1).data;
  std::vector<OnnxAttribute> attributes = window_attributes(node.attributes.window);
  const int64_t groups = builder.input(node, 0).shape[3] / weights.shape()[3];
  if (groups != 1) attributes.push_back(onnx_attribute("group", groups));
  const LayerOperands operands = layer_operands(builder, node, permuted(weights, kNhwcToNchw));
  const std::string out = builder.codes_output(node);
  write_conv(builder, node, builder.codes(node.inputs[0]), std::move(attributes), operands, out);
  builder.finish_codes(node, out);
}

void write_onnx_transpose_conv2d(OnnxBuilder& builder, const IntNode& node) {
  if (node.attributes.groups != 1) {
    builder.unsupported(node, fmt::format("{} groups", node.attributes.groups), "1");
  }
  std::vector<OnnxAttribute> attributes = window_attributes(node.attributes.window);
  const auto& extra = node.attributes.output_padding;
  if (extra != std::array<int64_t, 2>{0, 0}) {
    attributes.push_back(
        onnx_attribute("output_padding", std::vector<int64_t>(extra.begin(), extra.end())));
  }
  const Tensor weights = permuted(*builder.input(node, 1).data, kOhwiToIohw);
  write_real_layer(builder, node, builder.codes(node.inputs[0]),
                   onnx_node("ConvTranspose", {}, std::move(attributes)),
                   layer_operands(builder, node, weights), 1);
}

void write_onnx_linear(OnnxBuilder& builder, const IntNode& node) {
  const Shape& shape = builder.input(node, 0).shape;
  if (shape.numel() != builder.input(node, 1).shape[1]) return write_rows(builder, node);
  std::string x = builder.codes(node.inputs[0]);
  if (shape.rank() != 2) {
    if (shape.rank() == 4 && shape[1] * shape[2] > 1) x = builder.to_nhwc(node, x, 4);
    OnnxNode flatten = onnx_node("Flatten", {x}, {onnx_attribute("axis", int64_t{1})});
    flatten.name = node.name + "/flat";
    x = builder.add(std::move(flatten));
  }
  const LayerOperands operands = layer_operands(builder, node, *builder.input(node, 1).data);
  std::vector<OnnxAttribute> attributes{onnx_attribute("transB", int64_t{1})};
  if (builder.form() == OnnxForm::qdq) {
    write_real_layer(builder, node, x, onnx_node("Gemm", {}, std::move(attributes)), operands, 0);
    return;
  }
  std::vector<std::string> inputs = layer_inputs(builder, node, x, operands.weights);
  inputs.push_back(operands.bias);
  inputs.push_back(builder.scale(node.output));
  inputs.push_back(builder.zero_point(node.output));
  write_code_layer(builder, node,
                   onnx_node("QGemm", std::move(inputs), std::move(attributes), kMicrosoft));
}

void write_onnx_batch_matmul(OnnxBuilder& builder, const IntNode& node) {
  const auto operand = [&](size_t i, bool swapped) {
    const int rank = builder.input(node, i).shape.rank();
    std::string value = builder.to_nhwc(node, builder.codes(node.inputs[i]), rank);
    if (!swapped) return value;
    std::vector<int64_t> perm;
    for (int axis = 0; axis < rank; ++axis) perm.push_back(axis);
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    OnnxNode transpose = onnx_node("Transpose", {value}, {onnx_attribute("perm", perm)});
    transpose.name = fmt::format("{}/{}", node.name, i == 0 ? "lhs" : "rhs");
    return builder.add(std::move(transpose));
  };
  const std::string a = operand(0, node.attributes.transpose_lhs);
  const std::string b = operand(1, node.attributes.transpose_rhs);
  const int rank = builder.output(node).shape.rank();
  if (rank == 4) {
    // The product has axes NHWC; only the plain codes can be moved behind it.
    if (node.attributes.activation != Activation::none) {
      builder.unsupported(node, "an activation on a product of rank 4", "none");
    }
  }
  if (builder.form() == OnnxForm::qoperator) {
    const auto [l, r] = std::pair{node.inputs[0], node.inputs[1]};
    OnnxNode op =
        onnx_node("QLinearMatMul", {a, builder.scale(l), builder.zero_point(l), b, builder.scale(r),
                                    builder.zero_point(r), builder.scale(node.output),
                                    builder.zero_point(node.output)});
    op.name = node.name;
    if (rank != 4) {
      write_code_layer(builder, node, std::move(op));
      return;
    }
    builder.from_nhwc(node, builder.add(std::move(op)), rank, builder.codes_output(node));
    builder.finish_codes(node, builder.output(node).name);
    return;
  }
  OnnxNode op = onnx_node("MatMul", {builder.dequantized(node, a, node.inputs[0]),
                                     builder.dequantized(node, b, node.inputs[1])});
  op.name = node.name;
  const std::string real = builder.add(std::move(op));
  if (rank != 4) {
    builder.quantized(node, real);
    return;
  }
  OnnxNode quantize = onnx_node(
      "QuantizeLinear", {real, builder.scale(node.output), builder.zero_point(node.output)});
  quantize.name = node.name + "/quantize";
  builder.from_nhwc(node, builder.add(std::move(quantize)), rank, builder.codes_output(node));
  builder.finish_codes(node, builder.output(node).name);
}

}  // namespace facsim::backends::detail
