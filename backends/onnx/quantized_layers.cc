// SPDX-License-Identifier: Apache-2.0
// Conv, Gemm and MatMul on codes.
#include <algorithm>
#include <cmath>

#include "backends/graph/permute.h"
#include "backends/onnx/quantized-internal.h"

namespace facsim::backends::detail {

namespace {

const OnnxTensor& constant_codes(const OnnxNode& node, const QuantizedOperand& operand,
                                 const char* what) {
  if (const auto* own = std::get_if<Constant>(&operand.codes)) return *own->tensor;
  QuantizedBuilder::refuse(node, std::string(what) + " that are computed", "constants");
}

quant::QParams on_axis(quant::QParams qparams, int axis) {
  if (qparams.per_channel()) qparams.channel_axis = axis;
  return qparams;
}

/// An image NHWC as NCHW, a tensor of rank 4 whose axes are the file's.
int in_file_order(QuantizedBuilder& builder, const OnnxNode& node, int x,
                  const std::string& output) {
  NodeAttributes order;
  order.permutation.assign(kNhwcToNchw.begin(), kNhwcToNchw.end());
  return builder.add_move(node, "transpose", x, std::move(order), output);
}

int in_inner_order(QuantizedBuilder& builder, const OnnxNode& node, int x,
                   const std::string& output) {
  NodeAttributes order;
  order.permutation.assign(kNchwToNhwc.begin(), kNchwToNhwc.end());
  return builder.add_move(node, "transpose", x, std::move(order), output);
}

/// The bias in steps of input scale times weight scale: int32 codes as they are (ONNX Runtime does
/// not read the scale of their DequantizeLinear), reals b as half_even(b / float32(s_x * s_w)) in
/// float32 (ONNX Runtime weight_bias_quantization.cc; saturated where its cast is undefined).
int add_bias(QuantizedBuilder& builder, const OnnxNode& node, const OnnxTensor& bias,
             const quant::QParams& x, const quant::QParams& w, int64_t channels) {
  if (bias.values.numel() != channels) {
    QuantizedBuilder::fail(node, std::to_string(bias.values.numel()) + " biases",
                           std::to_string(channels), ErrorCode::shape_mismatch);
  }
  quant::QParams qparams;
  qparams.type = sim::kInt32;
  qparams.quant_min = sim::kInt32.min();
  qparams.quant_max = sim::kInt32.max();
  qparams.scale.clear();
  for (const float scale : w.scale) qparams.scale.push_back(x.scale.front() * scale);
  qparams.zero_point.assign(w.scale.size(), 0);
  if (qparams.scale.size() > 1) qparams.channel_axis = 0;
  quant::check(qparams, place_of(node) + " bias");
  using Form = QuantizedBuilder::Form;
  if (bias.type == OnnxType::int32) {
    return builder.add_constant(node, bias, Form::bias, qparams,
                                [&] { return bias.values.reshaped({channels}); });
  }
  if (bias.type != OnnxType::float32) {
    QuantizedBuilder::refuse(node, "a bias of " + to_string(bias.type), "int32 or float32");
  }
  return builder.add_constant(node, bias, Form::bias, qparams, [&] {
    Tensor codes(DType::int32, {channels});
    for (int64_t c = 0; c < channels; ++c) {
      const float real = bias.values.data<float>()[c];
      if (!std::isfinite(real)) {
        QuantizedBuilder::fail(node,
                               "bias " + std::to_string(real) + " of channel " + std::to_string(c),
                               "a finite number");
      }
      const float unit = qparams.scale[qparams.scale.size() == 1 ? 0 : static_cast<size_t>(c)];
      const double code = sim::round_real(sim::Rounding::half_even, real / unit);
      codes.set_int(c, static_cast<int64_t>(std::clamp(code, -0x1p31, 0x1p31 - 1)));
    }
    return codes;
  });
}

/// `linear` over the last axis, weights [O, I]; an image in the file's order of axes.
int emit_linear(QuantizedBuilder& builder, const OnnxNode& node, int x, const OnnxTensor& weights,
                int channel_axis, const quant::QParams& w, const OnnxTensor* bias,
                const QuantizedResult& result) {
  const Shape shape = builder.onnx_shape(x);
  const int64_t outputs = weights.values.shape()[channel_axis];
  const int64_t inputs = weights.values.shape()[1 - channel_axis];
  if (shape.rank() < 2 || shape[shape.rank() - 1] != inputs) {
    QuantizedBuilder::fail(node, "input " + to_string(shape),
                           std::to_string(inputs) + " on the last axis", ErrorCode::shape_mismatch);
  }
  const quant::QParams x_qparams = *builder.tensor(x).qparams;
  const bool is_image = shape.rank() == 4;
  const bool is_row = shape.numel() == inputs;  // `linear` makes one row of it
  if (is_image) x = in_file_order(builder, node, x, result.name + "/rows");
  std::vector<int> operands{x};
  operands.push_back(builder.add_constant(
      node, weights, QuantizedBuilder::Form::matrix, on_axis(w, 0),
      [&] { return channel_axis == 0 ? weights.values : permuted(weights.values, kSwapped); }));
  if (bias != nullptr) {
    operands.push_back(add_bias(builder, node, *bias, x_qparams, w, outputs));
  }
  NodeAttributes attributes;
  attributes.activation = result.activation;
  const bool is_last = !is_image && (!is_row || shape.rank() == 2);
  int y = builder.add(node, "linear", operands, attributes,
                      is_last ? result.name : result.name + "/rows_out", result.qparams);
  if (is_row && shape.rank() != 2) {
    NodeAttributes view;
    view.extents.assign(shape.begin() + 1, shape.end());
    view.extents.back() = outputs;
    y = builder.add_move(node, "reshape", y, std::move(view),
                         is_image ? result.name + "/nchw" : result.name);
  }
  return is_image ? in_inner_order(builder, node, y, result.name) : y;
}

}  // namespace

int emit_conv(QuantizedBuilder& builder, const OnnxNode& node, const QuantizedOperand& x,
              const QuantizedOperand& w, const OnnxTensor* bias, const QuantizedResult& result) {
  const OnnxTensor& weights = constant_codes(node, w, "weights");
  Shape shape = weights.values.shape();
  Shape input = builder.shape_of(x.codes);
  const bool is_1d = shape.rank() == 3 && input.rank() == 3;
  if (!is_1d && (shape.rank() != 4 || input.rank() != 4)) {
    QuantizedBuilder::fail(node, "weights " + to_string(shape) + " and input " + to_string(input),
                           "(M, C / group, KH, KW) and (N, C, H, W), or one axis less",
                           ErrorCode::unsupported);
  }
  if (weights.values.empty()) {
    QuantizedBuilder::fail(node, "weights " + to_string(shape), "no empty axis");
  }
  const std::vector<int64_t> kernel(shape.begin() + 2, shape.end());
  if (integers_attribute(node, "kernel_shape", kernel) != kernel) {
    QuantizedBuilder::fail(node, "kernel_shape other than the weights' " + to_string(shape), "",
                           ErrorCode::shape_mismatch);
  }
  if (is_1d) {  // an image of one row
    shape = {shape[0], shape[1], 1, shape[2]};
    input = {input[0], input[1], 1, input[2]};
  }
  NodeAttributes attributes;
  attributes.window =
      window_of(node, input, {shape[2], shape[3]}, is_1d ? WindowAxes::width : WindowAxes::both);
  attributes.groups = integer_attribute(node, "group", 1);
  if (attributes.groups < 1 || input[1] % attributes.groups != 0 ||
      shape[0] % attributes.groups != 0 || shape[1] != input[1] / attributes.groups) {
    QuantizedBuilder::fail(node,
                           "group " + std::to_string(attributes.groups) + ", weights " +
                               to_string(shape) + " on " + std::to_string(input[1]) + " channels",
                           "a group that divides both, weights (M, C / group, KH, KW)",
                           ErrorCode::shape_mismatch);
  }
  if (w.qparams.per_channel() && w.qparams.channel_axis != 0) {
    QuantizedBuilder::refuse(node,
                             "weight scales on axis " + std::to_string(w.qparams.channel_axis),
                             "axis 0, the output channels");
  }
  attributes.activation = result.activation;
  std::vector<int> operands{builder.tensor_of(node, x)};
  if (is_1d) {
    operands[0] = emit_reshape(builder, node, operands[0], input, result.name + "/image");
  }
  operands.push_back(
      builder.add_constant(node, weights, QuantizedBuilder::Form::ohwi, w.qparams,
                           [&] { return permuted(weights.values.reshaped(shape), kOihwToOhwi); }));
  if (bias != nullptr) {
    operands.push_back(add_bias(builder, node, *bias, x.qparams, w.qparams, shape[0]));
  }
  if (!is_1d) return builder.add(node, "conv2d", operands, attributes, result.name, result.qparams);
  const int y =
      builder.add(node, "conv2d", operands, attributes, result.name + "/row", result.qparams);
  const Shape row = builder.onnx_shape(y);
  return emit_reshape(builder, node, y, {1, row[1], row[3]}, result.name);
}

int gemm_channel_axis(const OnnxNode& node) {
  return integer_attribute(node, "transB", 0) != 0 ? 0 : 1;
}

int emit_gemm(QuantizedBuilder& builder, const OnnxNode& node, const QuantizedOperand& a,
              const QuantizedOperand& b, const OnnxTensor* bias, const QuantizedResult& result) {
  const OnnxTensor& weights = constant_codes(node, b, "weights (B)");
  if (integer_attribute(node, "transA", 0) != 0 || real_attribute(node, "alpha", 1) != 1) {
    QuantizedBuilder::refuse(node, "transA or alpha", "transA 0 and alpha 1");
  }
  if (bias != nullptr && real_attribute(node, "beta", 1) != 1) {
    QuantizedBuilder::refuse(node, "beta", "1");
  }
  if (weights.values.shape().rank() != 2 || weights.values.empty()) {
    QuantizedBuilder::fail(node, "B of shape " + to_string(weights.values.shape()), "rank 2",
                           ErrorCode::shape_mismatch);
  }
  const int axis = gemm_channel_axis(node);
  if (b.qparams.per_channel() && b.qparams.channel_axis != axis) {
    QuantizedBuilder::refuse(node, "scales of B on axis " + std::to_string(b.qparams.channel_axis),
                             "axis " + std::to_string(axis) + ", the output channels");
  }
  return emit_linear(builder, node, builder.tensor_of(node, a), weights, axis, b.qparams, bias,
                     result);
}

int emit_matmul(QuantizedBuilder& builder, const OnnxNode& node, const QuantizedOperand& a,
                const QuantizedOperand& b, const QuantizedResult& result) {
  const auto* constant = std::get_if<Constant>(&b.codes);
  if (constant != nullptr && constant->tensor->values.shape().rank() == 2) {
    const OnnxTensor& weights = *constant->tensor;
    if (weights.values.empty()) QuantizedBuilder::fail(node, "an empty B", "weights (K, N)");
    if (b.qparams.per_channel() && b.qparams.channel_axis != 1) {
      QuantizedBuilder::refuse(node, "scales along K", "one, or one for each column of B");
    }
    return emit_linear(builder, node, builder.tensor_of(node, a), weights, 1, b.qparams, nullptr,
                       result);
  }
  if (b.qparams.per_channel()) {
    QuantizedBuilder::refuse(node, "B with a scale per channel", "one scale");
  }
  // Matrices on the last two axes in the file's order.
  const auto matrices = [&](const QuantizedOperand& operand, const char* suffix) {
    const int x = builder.tensor_of(node, operand);
    return builder.tensor(x).shape.rank() == 4
               ? in_file_order(builder, node, x, result.name + suffix)
               : x;
  };
  NodeAttributes attributes;
  attributes.activation = result.activation;
  const int lhs = matrices(a, "/lhs");
  const int rhs = matrices(b, "/rhs");
  const bool is_image =
      std::max(builder.tensor(lhs).shape.rank(), builder.tensor(rhs).shape.rank()) == 4;
  const int y = builder.add(node, "batch_matmul", {lhs, rhs}, attributes,
                            is_image ? result.name + "/nchw" : result.name, result.qparams);
  return is_image ? in_inner_order(builder, node, y, result.name) : y;
}

}  // namespace facsim::backends::detail
