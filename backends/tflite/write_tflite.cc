// SPDX-License-Identifier: Apache-2.0
#include "backends/tflite/write_tflite.h"

#include <algorithm>
#include <array>
#include <utility>

#include "backends/io/npy.h"
#include "backends/tflite/write_tflite-internal.h"

namespace facsim::backends {

namespace detail {

namespace {

struct TfliteWriterLine {
  std::string_view op;
  TfliteOpWriter writer;
  bool takes_shifted_codes;  ///< TFLite's rule depends on code - zero_point alone
};

constexpr auto kTfliteWriters = std::to_array<TfliteWriterLine>({
    {"conv2d", write_tflite_conv2d, true},
    {"depthwise_conv2d", write_tflite_conv2d, true},
    {"transpose_conv2d", write_tflite_transpose_conv2d, true},
    {"linear", write_tflite_linear, true},
    {"batch_matmul", write_tflite_batch_matmul, true},
    {"add", write_tflite_elementwise, true},
    {"sub", write_tflite_elementwise, true},
    {"mul", write_tflite_elementwise, true},
    {"minimum", write_tflite_elementwise, true},
    {"maximum", write_tflite_elementwise, true},
    {"prelu", write_tflite_prelu, true},
    {"relu", write_tflite_activation, true},
    {"relu6", write_tflite_activation, true},
    {"leaky_relu", write_tflite_activation, true},
    {"hard_swish", write_tflite_activation, false},
    {"sigmoid", write_tflite_activation, false},
    {"tanh", write_tflite_activation, false},
    {"clamp", write_tflite_clamp, true},
    {"softmax", write_tflite_softmax, false},
    {"quantize", write_tflite_quantizer, true},
    {"dequantize", write_tflite_quantizer, true},
    {"requantize", write_tflite_quantizer, true},
    {"max_pool2d", write_tflite_max_pool2d, true},
    // Their sums are of codes, rounded away from code 0.
    {"avg_pool2d", write_tflite_avg_pool2d, false},
    {"mean", write_tflite_mean, true},
    {"global_avg_pool", write_tflite_mean, true},
    {"pad", write_tflite_pad_op, true},
    {"concat", write_tflite_concat, true},
    {"slice", write_tflite_slice, true},
    {"transpose", write_tflite_transpose, true},
    {"resize", write_tflite_resize, false},
    {"reshape", write_tflite_reshape, true},
    {"flatten", write_tflite_reshape, true},
});

const TfliteWriterLine* find_line(std::string_view op) {
  const auto found = std::find_if(kTfliteWriters.begin(), kTfliteWriters.end(),
                                  [&](const TfliteWriterLine& line) { return line.op == op; });
  return found == kTfliteWriters.end() ? nullptr : &*found;
}

}  // namespace

TfliteOpWriter find_tflite_writer(std::string_view op) {
  const TfliteWriterLine* line = find_line(op);
  return line == nullptr ? nullptr : line->writer;
}

}  // namespace detail

std::string tflite_bytes(const IntGraph& graph) {
  check(graph);
  detail::TfliteBuilder builder(graph);
  for (const IntNode& node : graph.nodes) {
    const detail::TfliteWriterLine* line = detail::find_line(node.op);
    if (line == nullptr) {
      builder.unsupported(node, "op " + node.op, "an operator that TensorFlow Lite has",
                          node.op == "lut" ? "export to ONNX can say a table" : "");
    }
    const auto& x = builder.input(node, 0).qparams;
    if (!line->takes_shifted_codes && x && x->type == sim::kUint8) {
      builder.unsupported(node, "uint8 codes", "int8",
                          "its result in int8 is not that of uint8 with 128 taken away");
    }
    line->writer(builder, node);
  }
  return builder.finish();
}

void write_tflite(const std::filesystem::path& file, const IntGraph& graph) {
  write_file_atomically(file, tflite_bytes(graph));
}

}  // namespace facsim::backends
