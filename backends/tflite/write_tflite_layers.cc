// SPDX-License-Identifier: Apache-2.0
// Operators with weights. Versions are TensorFlow Lite's for the types in use
// (lite/tools/versioning/op_version.cc).
#include <cmath>

#include <fmt/format.h>

#include "backends/graph/permute.h"
#include "backends/tflite/write_tflite-internal.h"

namespace facsim::backends::detail {

namespace {

constexpr std::array<int, 4> kOhwiToOneHwc{3, 1, 2, 0};

bool is_int16(const IntTensor& tensor) { return tensor.dtype == DType::int16; }
bool is_int4(const IntTensor& tensor) { return tensor.qparams->type.bits == 4; }

/// Weights with signed codes and zero point 0.
int write_weights(TfliteBuilder& builder, const IntNode& node, const Tensor& elements, int axis) {
  const IntTensor& weights = builder.input(node, 1);
  const quant::QParams qparams = TfliteBuilder::file_qparams(*weights.qparams);
  for (const int64_t zero_point : qparams.zero_point) {
    if (zero_point == 0) continue;
    builder.unsupported(node, fmt::format("weights \"{}\" with a zero point", weights.name),
                        "0, or 128 of uint8");
  }
  return builder.layer_constant(node.inputs[1], *weights.qparams, elements, axis);
}

/// int32 codes (int64 with int16 activations) in units of input scale times weight scale.
int write_bias(TfliteBuilder& builder, const IntNode& node) {
  const quant::QParams& x = *builder.input(node, 0).qparams;
  const quant::QParams& w = *builder.input(node, 1).qparams;
  quant::QParams unit;
  unit.type = sim::kInt32;
  unit.scale.clear();
  for (const float scale : w.scale) unit.scale.push_back(x.scale.front() * scale);
  unit.zero_point.assign(unit.scale.size(), 0);
  unit.channel_axis = unit.scale.size() > 1 ? 0 : -1;
  const int64_t channels = builder.input(node, 1).shape[0];
  if (node.inputs.size() < 3) {
    if (is_int16(builder.input(node, 0))) unit.type = {64, true};
    const Tensor zeros(unit.type.storage(), Shape{channels});
    return builder.new_constant(node.name + "/bias", unit, zeros);
  }
  const IntTensor& bias = builder.input(node, 2);
  if (bias.dtype == DType::float32) {
    builder.unsupported(node, fmt::format("a real bias \"{}\"", bias.name), "int32 codes",
                        "the network's profile adds biases in float");
  }
  if (bias.qparams) {
    const std::vector<float>& own = bias.qparams->scale;
    const size_t count = std::max(own.size(), unit.scale.size());
    for (size_t c = 0; c < count; ++c) {
      const float scale = own[own.size() == 1 ? 0 : c];
      const float product = unit.scale[unit.scale.size() == 1 ? 0 : c];
      // A product of float32 scales, however it was rounded.
      if (std::abs(scale - product) <= 1e-6f * product) continue;
      builder.unsupported(node, fmt::format("a bias \"{}\" of scale {}", bias.name, scale),
                          fmt::format("input scale times weight scale, {}", product),
                          "the format adds biases to the accumulator");
    }
    for (const int64_t zero_point : bias.qparams->zero_point) {
      if (zero_point != 0) builder.unsupported(node, "a bias with a zero point", "zero point 0");
    }
    if (own.size() == unit.scale.size()) unit.scale = own;
  }
  Tensor codes = *bias.data;
  if (bias.dtype == DType::int64 && is_int16(builder.input(node, 0))) {
    unit.type = {64, true};
  } else if (bias.dtype != DType::int32) {
    codes = Tensor(DType::int32, bias.shape);
    for (int64_t i = 0; i < bias.data->numel(); ++i) {
      const int64_t code = bias.data->int_at(i);
      if (code < sim::kInt32.min() || code > sim::kInt32.max()) {
        builder.unsupported(node, fmt::format("bias code {}", code), "int32 codes");
      }
      codes.set_int(i, code);
    }
  }
  unit.quant_min = unit.type.min();
  unit.quant_max = unit.type.max();
  return builder.layer_constant(node.inputs[2], unit, codes, 0);
}

}  // namespace

void write_tflite_conv2d(TfliteBuilder& builder, const IntNode& node) {
  const sim::Window2d& window = node.attributes.window;
  const IntTensor &x = builder.input(node, 0), &weights = builder.input(node, 1);
  const int64_t groups = x.shape[3] / weights.shape[3];
  const bool is_depthwise = node.op == "depthwise_conv2d" || (groups > 1 && weights.shape[3] == 1);
  const auto [in, padding] = tflite_padded(builder, node, std::nullopt);
  const Tensor elements = is_depthwise ? permuted(*weights.data, kOhwiToOneHwc) : *weights.data;
  const int w = write_weights(builder, node, elements, is_depthwise ? 3 : 0);
  const int bias = write_bias(builder, node);
  const auto activation = tflite_activation(node.attributes.activation);
  const auto narrow = [](int64_t value) { return static_cast<int32_t>(value); };
  if (is_depthwise) {
    const auto table = tflite::CreateDepthwiseConv2DOptions(
        builder.tables(), padding, narrow(window.stride[1]), narrow(window.stride[0]),
        narrow(weights.shape[0] / x.shape[3]), activation, narrow(window.dilation[1]),
        narrow(window.dilation[0]));
    const int version = is_int4(weights) ? 7 : is_int16(x) ? 5 : 3;
    builder.add(tflite::BuiltinOperator::DEPTHWISE_CONV_2D, version, {in, w, bias},
                builder.result(node), tflite_options(table));
    return;
  }
  const auto table = tflite::CreateConv2DOptions(
      builder.tables(), padding, narrow(window.stride[1]), narrow(window.stride[0]), activation,
      narrow(window.dilation[1]), narrow(window.dilation[0]));
  const int version = is_int4(weights) ? 7 : groups > 1 ? 6 : is_int16(x) ? 4 : 3;
  builder.add(tflite::BuiltinOperator::CONV_2D, version, {in, w, bias}, builder.result(node),
              tflite_options(table));
}

void write_tflite_transpose_conv2d(TfliteBuilder& builder, const IntNode& node) {
  const sim::Window2d& window = node.attributes.window;
  const Shape &x = builder.input(node, 0).shape, &y = builder.output(node).shape;
  if (node.attributes.groups != 1 || window.dilation != std::array<int64_t, 2>{1, 1}) {
    builder.unsupported(node, "groups or a dilation", "1");
  }
  // The padding is that of the convolution from the output back to the input.
  sim::Window2d back = window;
  back.padding = {};
  const std::array<int64_t, 2> pads{window.padding.top, window.padding.left};
  bool is_same = true, is_valid = true;
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t in = x[static_cast<int>(axis) + 1], out = y[static_cast<int>(axis) + 1];
    const int64_t total =
        std::max<int64_t>((in - 1) * window.stride[axis] + window.kernel[axis] - out, 0);
    is_same = is_same && (out + window.stride[axis] - 1) / window.stride[axis] == in &&
              pads[axis] == total / 2;
    is_valid =
        is_valid && pads[axis] == 0 && (out - window.kernel[axis]) / window.stride[axis] + 1 == in;
  }
  if (!is_same && !is_valid) {
    builder.unsupported(node,
                        fmt::format("padding {} {} of a transposed convolution", pads[0], pads[1]),
                        "SAME or VALID");
  }
  const int w = write_weights(builder, node, *builder.input(node, 1).data, 0);
  const int bias = write_bias(builder, node);
  const int shape = builder.integers(node.name + "/output_shape", y.extents());
  const auto table = tflite::CreateTransposeConvOptions(
      builder.tables(), is_valid ? tflite::Padding::VALID : tflite::Padding::SAME,
      static_cast<int32_t>(window.stride[1]), static_cast<int32_t>(window.stride[0]),
      tflite_activation(node.attributes.activation));
  const int version = node.attributes.activation != Activation::none ? 4 : 3;
  builder.add(tflite::BuiltinOperator::TRANSPOSE_CONV, version,
              {shape, w, builder.operand(node, 0), bias}, builder.result(node),
              tflite_options(table));
}

namespace {

void write_reshape(TfliteBuilder& builder, const IntNode& node, int input, int output,
                   const Shape& shape) {
  std::vector<int64_t> extents = shape.extents();
  extents[0] = -1;
  const std::vector<int32_t> new_shape(extents.begin(), extents.end());
  const int list = builder.integers(node.name + "/shape", extents);
  builder.add(tflite::BuiltinOperator::RESHAPE, 1, {input, list}, output,
              tflite_options(tflite::CreateReshapeOptionsDirect(builder.tables(), &new_shape)));
}

/// Rows as pixels of a 1 x 1 convolution: the same sums, and a scale per channel that every kernel
/// of TensorFlow Lite takes.
void write_as_convolution(TfliteBuilder& builder, const IntNode& node) {
  const IntTensor &x = builder.input(node, 0), &y = builder.output(node);
  const Tensor& weights = *builder.input(node, 1).data;
  const int64_t channels = weights.shape()[0], taps = weights.shape()[1];
  const int64_t rows = x.shape.numel() / taps;
  const Shape pixels{1, rows, 1, taps}, sums{1, rows, 1, channels};
  const int input = builder.between(node, x, pixels, "pixels");
  write_reshape(builder, node, builder.operand(node, 0), input, pixels);
  const int w = write_weights(builder, node, weights.reshaped({channels, 1, 1, taps}), 0);
  const int bias = write_bias(builder, node);
  const int output = builder.between(node, y, sums, "sums");
  const auto table = tflite::CreateConv2DOptions(builder.tables(), tflite::Padding::VALID, 1, 1,
                                                 tflite_activation(node.attributes.activation));
  const int version = is_int4(builder.input(node, 1)) ? 7 : is_int16(x) ? 4 : 3;
  builder.add(tflite::BuiltinOperator::CONV_2D, version, {input, w, bias}, output,
              tflite_options(table));
  write_reshape(builder, node, output, builder.result(node), y.shape);
}

}  // namespace

void write_tflite_linear(TfliteBuilder& builder, const IntNode& node) {
  const IntTensor &x = builder.input(node, 0), &weights = builder.input(node, 1);
  if (weights.qparams->per_channel()) return write_as_convolution(builder, node);
  const int w = write_weights(builder, node, *weights.data, 0);
  const int bias = write_bias(builder, node);
  const bool keeps_axes = builder.output(node).shape.rank() != 2;
  const auto table = tflite::CreateFullyConnectedOptions(
      builder.tables(), tflite_activation(node.attributes.activation),
      tflite::FullyConnectedOptionsWeightsFormat::DEFAULT, keeps_axes);
  const int version = is_int4(weights) ? 10 : is_int16(x) ? 7 : 4;
  builder.add(tflite::BuiltinOperator::FULLY_CONNECTED, version,
              {builder.operand(node, 0), w, bias}, builder.result(node), tflite_options(table));
}

void write_tflite_batch_matmul(TfliteBuilder& builder, const IntNode& node) {
  if (node.attributes.activation != Activation::none) {
    builder.unsupported(node, "a fused activation", "none");
  }
  const auto table = tflite::CreateBatchMatMulOptions(
      builder.tables(), node.attributes.transpose_lhs, node.attributes.transpose_rhs);
  builder.add(tflite::BuiltinOperator::BATCH_MATMUL, is_int16(builder.input(node, 0)) ? 3 : 2,
              {builder.operand(node, 0), builder.operand(node, 1)}, builder.result(node),
              tflite_options(table));
}

}  // namespace facsim::backends::detail
