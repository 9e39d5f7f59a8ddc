// SPDX-License-Identifier: Apache-2.0
#include "backends/onnx/to_onnx.h"

#include <array>
#include <utility>

#include "backends/onnx/to_onnx-internal.h"

namespace facsim::backends {

namespace detail {

OnnxOpWriter find_onnx_op(std::string_view op) {
  static constexpr std::array<std::pair<std::string_view, OnnxOpWriter>, 34> kWriters{{
      {"conv2d", write_onnx_conv2d},
      {"depthwise_conv2d", write_onnx_conv2d},
      {"transpose_conv2d", write_onnx_transpose_conv2d},
      {"linear", write_onnx_linear},
      {"batch_matmul", write_onnx_batch_matmul},
      {"add", write_onnx_elementwise},
      {"sub", write_onnx_elementwise},
      {"mul", write_onnx_elementwise},
      {"minimum", write_onnx_elementwise},
      {"maximum", write_onnx_elementwise},
      {"prelu", write_onnx_prelu},
      {"relu", write_onnx_unary},
      {"relu6", write_onnx_unary},
      {"leaky_relu", write_onnx_unary},
      {"hard_swish", write_onnx_unary},
      {"sigmoid", write_onnx_unary},
      {"tanh", write_onnx_unary},
      {"clamp", write_onnx_clamp},
      {"lut", write_onnx_lut},
      {"softmax", write_onnx_softmax},
      {"quantize", write_onnx_quantizer},
      {"dequantize", write_onnx_quantizer},
      {"requantize", write_onnx_quantizer},
      {"max_pool2d", write_onnx_max_pool2d},
      {"avg_pool2d", write_onnx_avg_pool2d},
      {"global_avg_pool", write_onnx_global_avg_pool},
      {"mean", write_onnx_mean},
      {"pad", write_onnx_pad},
      {"concat", write_onnx_concat},
      {"slice", write_onnx_slice},
      {"transpose", write_onnx_transpose},
      {"resize", write_onnx_resize},
      {"reshape", write_onnx_reshape},
      {"flatten", write_onnx_reshape},
  }};
  for (const auto& [name, writer] : kWriters) {
    if (name == op) return writer;
  }
  return nullptr;
}

}  // namespace detail

OnnxModel to_onnx(const IntGraph& graph, OnnxForm form) {
  check(graph);
  detail::OnnxBuilder builder(graph, form);
  for (const IntNode& node : graph.nodes) {
    const detail::OnnxOpWriter write = detail::find_onnx_op(node.op);
    if (write == nullptr) builder.unsupported(node, "op " + node.op, "an op that ONNX has");
    write(builder, node);
  }
  return builder.take();
}

}  // namespace facsim::backends
