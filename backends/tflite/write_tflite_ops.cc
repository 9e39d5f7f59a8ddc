// SPDX-License-Identifier: Apache-2.0
// Operators without weights, on values and on their places. Versions as in write_tflite_layers.cc.
#include <algorithm>

#include <fmt/format.h>

#include "backends/tflite/write_tflite-internal.h"

namespace facsim::backends::detail {

namespace {

using enum tflite::BuiltinOperator;

bool is_wide(const IntTensor& tensor) { return tensor.dtype == DType::int16; }

int32_t narrow(int64_t value) { return static_cast<int32_t>(value); }

/// TensorFlow Lite fixes the output's scale of some operators.
void require_scale(const TfliteBuilder& builder, const IntNode& node, float scale_8,
                   int64_t zero_point_8, float scale_16) {
  const quant::QParams& q = *builder.output(node).qparams;
  const bool wide = is_wide(builder.output(node));
  const float scale = wide ? scale_16 : scale_8;
  const int64_t zero_point = wide ? 0 : zero_point_8;
  if (q.scale.front() == scale && q.zero_point.front() == zero_point) return;
  builder.unsupported(
      node,
      fmt::format("an output of scale {}, zero point {}", q.scale.front(), q.zero_point.front()),
      fmt::format("{} and {}, as TensorFlow Lite demands", scale, zero_point));
}

/// Average and maximum pool.
void write_pool(TfliteBuilder& builder, const IntNode& node, tflite::BuiltinOperator code,
                int input, tflite::Padding padding) {
  const sim::Window2d& window = node.attributes.window;
  if (window.dilation != std::array<int64_t, 2>{1, 1}) {
    builder.unsupported(node, "a pool with a dilation", "1");
  }
  builder.require_equal_scales(node);
  const auto table = tflite::CreatePool2DOptions(builder.tables(), padding,
                                                 narrow(window.stride[1]), narrow(window.stride[0]),
                                                 narrow(window.kernel[1]), narrow(window.kernel[0]),
                                                 tflite_activation(node.attributes.activation));
  builder.add(code, is_wide(builder.input(node, 0)) ? 3 : 2, {input}, builder.result(node),
              tflite_options(table));
}

/// True if the last window of a SAME padding ends at the image's last row and column or behind it.
/// Where strides step over the end, XNNPACK (tfjs-tflite 0.0.1-alpha.10) computes others than SAME
/// defines: with a 1 x 3 kernel, stride 2 x 1 and 6 rows about half of the values.
bool reaches_the_end(const sim::Window2d& window, const Shape& x) {
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t in = x[static_cast<int>(axis) + 1], stride = window.stride[axis];
    const int64_t reach =
        (in - 1) / stride * stride + (window.kernel[axis] - 1) * window.dilation[axis];
    if (reach + 1 < in) return false;
  }
  return true;
}

}  // namespace

TflitePadded tflite_padded(TfliteBuilder& builder, const IntNode& node,
                           std::optional<int64_t> value) {
  const sim::Window2d& window = node.attributes.window;
  const sim::Padding2d& p = window.padding;
  const IntTensor& x = builder.input(node, 0);
  const int input = builder.operand(node, 0);
  if (p == sim::Padding2d{}) return {input, tflite::Padding::VALID};
  if (p == sim::resolve_padding(sim::PaddingKind::same, window, x.shape[1], x.shape[2]) &&
      reaches_the_end(window, x.shape)) {
    return {input, tflite::Padding::SAME};
  }
  const Shape padded{1, p.top + x.shape[1] + p.bottom, p.left + x.shape[2] + p.right, x.shape[3]};
  const int output = builder.between(node, x, padded, "padded");
  write_tflite_pad(builder, node, output, {0, p.top, p.left, 0}, {0, p.bottom, p.right, 0}, value);
  return {output, tflite::Padding::VALID};
}

void write_tflite_pad(TfliteBuilder& builder, const IntNode& node, int output,
                      const std::vector<int64_t>& before, const std::vector<int64_t>& after,
                      std::optional<int64_t> value) {
  Tensor pads(DType::int32, Shape{static_cast<int64_t>(before.size()), 2});
  for (size_t axis = 0; axis < before.size(); ++axis) {
    pads.set_int(static_cast<int64_t>(2 * axis), before[axis]);
    pads.set_int(static_cast<int64_t>(2 * axis + 1), after[axis]);
  }
  const int list = builder.integer_tensor(node.name + "/paddings", pads);
  const IntTensor& x = builder.input(node, 0);
  if (!value || *value == x.qparams->zero_point.front()) {
    builder.add(PAD, is_wide(x) ? 3 : 2, {builder.operand(node, 0), list}, output,
                tflite_options(tflite::CreatePadOptions(builder.tables())));
    return;
  }
  const int code = builder.single_code(node, x, *value);
  builder.add(PADV2, is_wide(x) ? 3 : 2, {builder.operand(node, 0), list, code}, output,
              tflite_options(tflite::CreatePadV2Options(builder.tables())));
}

void write_tflite_elementwise(TfliteBuilder& builder, const IntNode& node) {
  const std::vector<int> inputs{builder.operand(node, 0), builder.operand(node, 1)};
  const int output = builder.result(node);
  const bool wide = is_wide(builder.output(node));
  const auto activation = tflite_activation(node.attributes.activation);
  flatbuffers::FlatBufferBuilder& tables = builder.tables();
  if (node.op == "add") {
    const auto table = tflite::CreateAddOptions(tables, activation, /*pot_scale_int16=*/!wide);
    builder.add(ADD, wide ? 3 : 2, inputs, output, tflite_options(table));
  } else if (node.op == "sub") {
    const auto table = tflite::CreateSubOptions(tables, activation, /*pot_scale_int16=*/!wide);
    builder.add(SUB, wide ? 5 : 2, inputs, output, tflite_options(table));
  } else if (node.op == "mul") {
    builder.add(MUL, wide ? 4 : 2, inputs, output,
                tflite_options(tflite::CreateMulOptions(tables, activation)));
  } else {
    builder.require_equal_scales(node);
    builder.add(node.op == "minimum" ? MINIMUM : MAXIMUM, wide ? 4 : 2, inputs, output,
                tflite_options(tflite::CreateMaximumMinimumOptions(tables)));
  }
}

void write_tflite_activation(TfliteBuilder& builder, const IntNode& node) {
  const int input = builder.operand(node, 0), output = builder.result(node);
  const bool wide = is_wide(builder.input(node, 0));
  if (node.op == "relu") {
    builder.add(RELU, wide ? 3 : 2, {input}, output);
  } else if (node.op == "relu6") {
    builder.add(RELU6, wide ? 3 : 2, {input}, output);
  } else if (node.op == "leaky_relu") {
    const auto table = tflite::CreateLeakyReluOptions(builder.tables(), node.attributes.alpha);
    builder.add(LEAKY_RELU, 2, {input}, output, tflite_options(table));
  } else if (node.op == "hard_swish") {
    builder.add(HARD_SWISH, 1, {input}, output,
                tflite_options(tflite::CreateHardSwishOptions(builder.tables())));
  } else if (node.op == "sigmoid") {
    require_scale(builder, node, 1.0f / 256, -128, 1.0f / 32768);
    builder.add(LOGISTIC, wide ? 3 : 2, {input}, output);
  } else {
    require_scale(builder, node, 1.0f / 128, 0, 1.0f / 32768);
    builder.add(TANH, wide ? 3 : 2, {input}, output);
  }
}

void write_tflite_clamp(TfliteBuilder& builder, const IntNode& node) {
  builder.require_equal_scales(node);
  const int input = builder.operand(node, 0);
  switch (node.attributes.activation) {
    case Activation::relu:
      return builder.add(RELU, 2, {input}, builder.result(node));
    case Activation::relu6:
      return builder.add(RELU6, 2, {input}, builder.result(node));
    case Activation::relu_n1_to_1:
      return builder.add(RELU_N1_TO_1, 1, {input}, builder.result(node));
    case Activation::none:
      break;
  }
  builder.unsupported(node, "activation none", "relu, relu6 or relu_n1_to_1");
}

void write_tflite_prelu(TfliteBuilder& builder, const IntNode& node) {
  builder.add(PRELU, 1, {builder.operand(node, 0), builder.operand(node, 1)}, builder.result(node));
}

void write_tflite_softmax(TfliteBuilder& builder, const IntNode& node) {
  require_scale(builder, node, 1.0f / 256, -128, 1.0f / 32768);
  const auto table = tflite::CreateSoftmaxOptions(builder.tables(), node.attributes.beta);
  builder.add(SOFTMAX, is_wide(builder.input(node, 0)) ? 3 : 2, {builder.operand(node, 0)},
              builder.result(node), tflite_options(table));
}

void write_tflite_quantizer(TfliteBuilder& builder, const IntNode& node) {
  const int input = builder.operand(node, 0), output = builder.result(node);
  if (node.op == "dequantize") {
    builder.add(DEQUANTIZE, is_wide(builder.input(node, 0)) ? 3 : 2, {input}, output,
                tflite_options(tflite::CreateDequantizeOptions(builder.tables())));
    return;
  }
  const int version = is_wide(builder.output(node)) ? 3 : node.op == "requantize" ? 2 : 1;
  builder.add(QUANTIZE, version, {input}, output,
              tflite_options(tflite::CreateQuantizeOptions(builder.tables())));
}

void write_tflite_max_pool2d(TfliteBuilder& builder, const IntNode& node) {
  const auto [input, padding] =
      tflite_padded(builder, node, builder.input(node, 0).qparams->type.min());
  write_pool(builder, node, MAX_POOL_2D, input, padding);
}

void write_tflite_avg_pool2d(TfliteBuilder& builder, const IntNode& node) {
  const sim::Padding2d none{};
  if (node.attributes.count_include_pad && node.attributes.window.padding != none) {
    const Shape& x = builder.input(node, 0).shape;
    const sim::Padding2d& p = node.attributes.window.padding;
    const int padded =
        builder.between(node, builder.input(node, 0),
                        {1, p.top + x[1] + p.bottom, p.left + x[2] + p.right, x[3]}, "padded");
    write_tflite_pad(builder, node, padded, {0, p.top, p.left, 0}, {0, p.bottom, p.right, 0},
                     std::nullopt);
    return write_pool(builder, node, AVERAGE_POOL_2D, padded, tflite::Padding::VALID);
  }
  const Shape& x = builder.input(node, 0).shape;
  const sim::Window2d& window = node.attributes.window;
  const bool is_valid = window.padding == none;
  if (!is_valid &&
      window.padding != sim::resolve_padding(sim::PaddingKind::same, window, x[1], x[2])) {
    builder.unsupported(node, "an average without its padding that is neither SAME nor VALID",
                        "SAME or VALID");
  }
  write_pool(builder, node, AVERAGE_POOL_2D, builder.operand(node, 0),
             is_valid ? tflite::Padding::VALID : tflite::Padding::SAME);
}

/// mean, and global_avg_pool over rows and columns.
void write_tflite_mean(TfliteBuilder& builder, const IntNode& node) {
  const bool is_global = node.op == "global_avg_pool";
  if (node.attributes.activation != Activation::none) {
    builder.unsupported(node, "a fused activation", "none");
  }
  const std::vector<int64_t> axes = is_global ? std::vector<int64_t>{1, 2} : node.attributes.axes;
  const int list = builder.integers(node.name + "/axes", axes);
  const auto table =
      tflite::CreateReducerOptions(builder.tables(), is_global || node.attributes.keep_dims);
  builder.add(MEAN, is_wide(builder.input(node, 0)) ? 3 : 2, {builder.operand(node, 0), list},
              builder.result(node), tflite_options(table));
}

void write_tflite_pad_op(TfliteBuilder& builder, const IntNode& node) {
  builder.require_equal_scales(node);
  write_tflite_pad(builder, node, builder.result(node), node.attributes.pad_before,
                   node.attributes.pad_after, node.attributes.pad_value);
}

void write_tflite_concat(TfliteBuilder& builder, const IntNode& node) {
  std::vector<int> inputs;
  for (size_t i = 0; i < node.inputs.size(); ++i) inputs.push_back(builder.operand(node, i));
  const auto table =
      tflite::CreateConcatenationOptions(builder.tables(), narrow(node.attributes.axis));
  builder.add(CONCATENATION, is_wide(builder.output(node)) ? 3 : 2, inputs, builder.result(node),
              tflite_options(table));
}

void write_tflite_slice(TfliteBuilder& builder, const IntNode& node) {
  builder.require_equal_scales(node);
  const NodeAttributes& a = node.attributes;
  const std::vector<int> inputs{builder.operand(node, 0),
                                builder.integers(node.name + "/begin", a.begin),
                                builder.integers(node.name + "/end", a.end),
                                builder.integers(node.name + "/strides", a.strides)};
  // Bit 0: the whole batch, whatever begin and end say.
  const auto table = tflite::CreateStridedSliceOptions(builder.tables(), 1, 1);
  builder.add(STRIDED_SLICE, is_wide(builder.output(node)) ? 4 : 2, inputs, builder.result(node),
              tflite_options(table));
}

void write_tflite_transpose(TfliteBuilder& builder, const IntNode& node) {
  builder.require_equal_scales(node);
  const int list = builder.integers(node.name + "/perm", node.attributes.permutation);
  builder.add(TRANSPOSE, is_wide(builder.output(node)) ? 3 : 2, {builder.operand(node, 0), list},
              builder.result(node),
              tflite_options(tflite::CreateTransposeOptions(builder.tables())));
}

void write_tflite_resize(TfliteBuilder& builder, const IntNode& node) {
  builder.require_equal_scales(node);
  const ResizeAttributes& resize = node.attributes.resize;
  const int size = builder.integers(node.name + "/size", {resize.size[0], resize.size[1]});
  const std::vector<int> inputs{builder.operand(node, 0), size};
  if (resize.mode == ResizeAttributes::Mode::bilinear) {
    const auto table = tflite::CreateResizeBilinearOptions(builder.tables(), resize.align_corners,
                                                           resize.half_pixel_centers);
    builder.add(RESIZE_BILINEAR, 3, inputs, builder.result(node), tflite_options(table));
    return;
  }
  const auto table = tflite::CreateResizeNearestNeighborOptions(
      builder.tables(), resize.align_corners, resize.half_pixel_centers);
  builder.add(RESIZE_NEAREST_NEIGHBOR, 3, inputs, builder.result(node), tflite_options(table));
}

void write_tflite_reshape(TfliteBuilder& builder, const IntNode& node) {
  builder.require_equal_scales(node);
  const IntTensor& x = builder.input(node, 0);
  int input = builder.operand(node, 0);
  const int rank = x.shape.rank();
  int64_t pixels = 1;
  for (int axis = 1; axis + 1 < rank; ++axis) pixels *= x.shape[axis];
  if (node.attributes.order == sim::ReshapeParams::Order::nchw && pixels > 1 &&
      x.shape[rank - 1] > 1) {
    std::vector<int64_t> perm{0, rank - 1}, extents{1, x.shape[rank - 1]};
    for (int axis = 1; axis + 1 < rank; ++axis) {
      perm.push_back(axis);
      extents.push_back(x.shape[axis]);
    }
    const int moved = builder.between(node, x, Shape(extents), "channels_first");
    builder.add(TRANSPOSE, is_wide(x) ? 3 : 2, {input, builder.integers(node.name + "/perm", perm)},
                moved, tflite_options(tflite::CreateTransposeOptions(builder.tables())));
    input = moved;
  }
  std::vector<int64_t> extents = builder.output(node).shape.extents();
  extents[0] = -1;
  const std::vector<int32_t> new_shape(extents.begin(), extents.end());
  const int shape = builder.integers(node.name + "/shape", extents);
  builder.add(RESHAPE, 1, {input, shape}, builder.result(node),
              tflite_options(tflite::CreateReshapeOptionsDirect(builder.tables(), &new_shape)));
}

}  // namespace facsim::backends::detail
