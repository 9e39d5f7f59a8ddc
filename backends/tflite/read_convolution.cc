// SPDX-License-Identifier: Apache-2.0
// CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV, and what layers with weights have in common.
#include <fmt/format.h>

#include <algorithm>

#include "backends/graph/permute.h"
#include "backends/tflite/tflite_layer-internal.h"

namespace facsim::backends::detail {

namespace {

constexpr int kBias = -1;  ///< no TfliteWeights: how a bias is read

}  // namespace

int tflite_weights(TfliteNode& node, size_t weights, int rank, TfliteWeights layout) {
  const TfliteTensor& t = node.input(weights);
  const bool is_one_hwc = layout == TfliteWeights::one_hwc;
  if (t.shape.rank() != rank) {
    node.fail(fmt::format("weights of shape {}", to_string(t.shape)), fmt::format("rank {}", rank),
              ErrorCode::shape_mismatch);
  }
  if (!t.is_constant) node.unsupported("weights that are computed", "constants");
  return node.graph().once(t.number, static_cast<int>(layout), [&] {
    IntTensor out;
    out.name = TfliteGraph::name_of(t);
    Tensor data = node.graph().constant(t);
    out.qparams = node.graph().qparams(t);
    if (!out.qparams) {
      node.unsupported("weights without scales", "quantized weights",
                       "a float network is no integer network");
    }
    if (out.qparams->per_channel()) {
      const int axis = is_one_hwc ? rank - 1 : 0;
      if (out.qparams->channel_axis != axis) {
        node.unsupported(fmt::format("weights with scales on axis {}", out.qparams->channel_axis),
                         fmt::format("axis {}, the output channels", axis));
      }
      out.qparams->channel_axis = 0;
    }
    for (const int64_t zero_point : out.qparams->zero_point) {
      if (zero_point != 0 && out.qparams->type.is_signed) {
        node.fail(fmt::format("weights with zero point {}", zero_point), "0");
      }
    }
    if (is_one_hwc) {
      if (data.shape()[0] != 1) {
        node.fail(fmt::format("weights of shape {}", to_string(t.shape)), "(1, H, W, C)",
                  ErrorCode::shape_mismatch);
      }
      node.graph().spend(t.name, static_cast<int64_t>(data.bytes()));
      data = permuted(data, kOneHwcToOhwi);
    }
    out.dtype = data.dtype();
    out.shape = data.shape();
    out.data = std::move(data);
    return out;
  });
}

int tflite_bias(TfliteNode& node, size_t bias, int input, int weights) {
  if (!node.has_input(bias)) return -1;
  const TfliteTensor& t = node.input(bias);
  if (!t.is_constant) node.unsupported("a bias that is computed", "a constant");
  const IntTensor& x = node.graph().int_tensor(input);
  const bool is_wide = x.dtype == DType::int16 && t.type == tflite::TensorType::INT64;
  if (t.type != tflite::TensorType::INT32 && !is_wide) {
    node.fail(fmt::format("a bias of {}", tflite::EnumNameTensorType(t.type)),
              x.dtype == DType::int16 ? "INT64 or INT32" : "INT32");
  }
  const int64_t channels = node.graph().int_tensor(weights).shape[0];
  if (t.shape != Shape{channels}) {
    node.fail(fmt::format("a bias of shape {}", to_string(t.shape)),
              fmt::format("({},), one value per output channel", channels),
              ErrorCode::shape_mismatch);
  }
  return node.graph().once(t.number, kBias, [&] {
    IntTensor out;
    out.name = TfliteGraph::name_of(t);
    out.data = node.graph().constant(t);
    out.dtype = out.data->dtype();
    out.shape = t.shape;
    out.qparams = node.graph().qparams(t, 0);
    if (!out.qparams) {
      const quant::QParams& w = *node.graph().int_tensor(weights).qparams;
      quant::QParams derived = w;
      for (float& scale : derived.scale) scale *= x.qparams ? x.qparams->scale.front() : 1.0f;
      derived.zero_point.assign(derived.scale.size(), 0);
      derived.type = sim::full_range(out.dtype);
      derived.quant_min = derived.type.min();
      derived.quant_max = derived.type.max();
      out.qparams = std::move(derived);
    }
    for (const int64_t zero_point : out.qparams->zero_point) {
      if (zero_point != 0) node.fail(fmt::format("a bias with zero point {}", zero_point), "0");
    }
    return out;
  });
}

sim::Window2d tflite_window(const TfliteNode& node, const TfliteWindow& window,
                            const Shape& input) {
  constexpr int64_t kMost = 65536;
  if (input.rank() != 4) {
    node.fail("input of shape " + to_string(input), "(N, H, W, C)", ErrorCode::shape_mismatch);
  }
  const auto require = [&](const char* what, const std::array<int64_t, 2>& values) {
    for (const int64_t value : values) {
      if (value < 1 || value > kMost) {
        node.fail(fmt::format("{} {}", what, value), fmt::format("1..{}", kMost));
      }
    }
  };
  require("stride", window.stride);
  require("dilation", window.dilation);
  require("filter", window.kernel);
  sim::Window2d out;
  out.kernel = window.kernel;
  out.stride = window.stride;
  out.dilation = window.dilation;
  const bool is_same = window.padding == tflite::Padding::SAME;
  if (!is_same && window.padding != tflite::Padding::VALID) {
    node.fail(fmt::format("padding {}", static_cast<int>(window.padding)), "SAME or VALID");
  }
  out.padding = sim::resolve_padding(is_same ? sim::PaddingKind::same : sim::PaddingKind::valid,
                                     out, input[1], input[2]);
  return out;
}

namespace {

template <class Options>
void read_convolution(TfliteNode& node, TfliteWeights layout) {
  node.require_counts(2, 3);
  const auto& options = node.options<Options>();
  const int input = node.operand(0);
  const int weights = tflite_weights(node, 1, 4, layout);
  const Shape x = node.graph().int_tensor(input).shape;
  const Shape w = node.graph().int_tensor(weights).shape;
  NodeAttributes attributes;
  attributes.window = tflite_window(node,
                                    {options.padding(),
                                     {w[1], w[2]},
                                     {options.stride_h(), options.stride_w()},
                                     {options.dilation_h_factor(), options.dilation_w_factor()}},
                                    x);
  attributes.activation = node.activation(options.fused_activation_function());
  const bool is_depthwise = layout == TfliteWeights::one_hwc;
  if (is_depthwise) {
    attributes.groups = x[3];
    if (w[0] % x[3] != 0) {
      node.fail(fmt::format("{} filters for {} channels", w[0], x[3]),
                "a multiple of the input's channels", ErrorCode::shape_mismatch);
    }
  } else {
    if (w[3] < 1 || x[3] % w[3] != 0) {
      node.fail(fmt::format("weights {} for {} channels", to_string(w), x[3]),
                "filters of all channels, or of a group of them", ErrorCode::shape_mismatch);
    }
    attributes.groups = x[3] / w[3];
  }
  std::vector<int> inputs{input, weights};
  if (const int bias = tflite_bias(node, 2, input, weights); bias >= 0) inputs.push_back(bias);
  node.emit(is_depthwise ? "depthwise_conv2d" : "conv2d", std::move(inputs), std::move(attributes));
}

}  // namespace

void read_tflite_conv_2d(TfliteNode& node) {
  read_convolution<tflite::Conv2DOptions>(node, TfliteWeights::output_first);
}

/// depth_multiplier says again what the shapes say; a file where they differ is refused.
void read_tflite_depthwise_conv_2d(TfliteNode& node) {
  const int64_t multiplier = node.options<tflite::DepthwiseConv2DOptions>().depth_multiplier();
  const Shape& x = node.input(0).shape;
  const Shape& w = node.input(1).shape;
  if (x.rank() == 4 && w.rank() == 4 && (multiplier < 1 || x[3] * multiplier != w[3])) {
    node.fail(
        fmt::format("depth_multiplier {} for {} channels and {} filters", multiplier, x[3], w[3]),
        "channels * depth_multiplier = filters");
  }
  read_convolution<tflite::DepthwiseConv2DOptions>(node, TfliteWeights::one_hwc);
}

/// Inputs: the output's shape, weights OHWI, x, bias. What the padding cuts off in front is what it
/// adds to a convolution of the output (TFLite kernels/padding.h); the output's own extents say
/// what is cut or added behind.
void read_tflite_transpose_conv(TfliteNode& node) {
  node.require_counts(3, 4);
  const auto& options = node.options<tflite::TransposeConvOptions>();
  const int input = node.operand(2);
  const int weights = tflite_weights(node, 1, 4, TfliteWeights::output_first);
  const Shape x = node.graph().int_tensor(input).shape;
  const Shape w = node.graph().int_tensor(weights).shape;
  const Shape y = node.graph().batched(node.output()).shape;
  if (y.rank() != 4) {
    node.fail("output of shape " + to_string(node.output().shape), "(N, H, W, C)",
              ErrorCode::shape_mismatch);
  }
  NodeAttributes attributes;
  attributes.window = tflite_window(
      node, {options.padding(), {w[1], w[2]}, {options.stride_h(), options.stride_w()}, {1, 1}}, y);
  if (x.rank() != 4 || w[3] != x[3]) {
    node.fail(fmt::format("weights {} on input {}", to_string(w), to_string(x)),
              "filters of the input's channels", ErrorCode::shape_mismatch);
  }
  sim::Padding2d& cut = attributes.window.padding;
  const auto behind = [&](int axis, int64_t front, int64_t& end, int64_t& added) {
    const auto i = static_cast<size_t>(axis - 1);
    const int64_t whole =
        (x[axis] - 1) * attributes.window.stride[i] + attributes.window.kernel[i] - front;
    end = std::max<int64_t>(0, whole - y[axis]);
    added = std::max<int64_t>(0, y[axis] - whole);
  };
  behind(1, cut.top, cut.bottom, attributes.output_padding[0]);
  behind(2, cut.left, cut.right, attributes.output_padding[1]);
  attributes.activation = node.activation(options.fused_activation_function());
  std::vector<int> inputs{input, weights};
  if (const int bias = tflite_bias(node, 3, input, weights); bias >= 0) inputs.push_back(bias);
  node.emit("transpose_conv2d", std::move(inputs), std::move(attributes));
}

}  // namespace facsim::backends::detail
