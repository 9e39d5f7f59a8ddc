// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/onnx/to_onnx.h"

namespace facsim::backends::detail {

/// An ONNX model while it is made from an IntGraph: values, constants, and the patterns that ops
/// share. Axes in the file: rank 4 is NCHW, every other rank is as in the IntGraph.
class OnnxBuilder {
 public:
  OnnxBuilder(const IntGraph& graph, OnnxForm form);

  OnnxForm form() const { return form_; }
  int64_t opset() const { return opset_; }
  const IntTensor& tensor(int number) const { return graph_.tensors[static_cast<size_t>(number)]; }
  const IntTensor& input(const IntNode& node, size_t i) const { return tensor(node.inputs[i]); }
  const IntTensor& output(const IntNode& node) const { return tensor(node.output); }
  [[noreturn]] static void unsupported(const IntNode& node, std::string found, std::string expected,
                                       std::string hint = "");

  /// Adds a node. An output name of its own if `output` is empty; returns it.
  std::string add(OnnxNode node, std::string output = {});
  /// A name that no value has yet, made of `name`.
  std::string fresh(std::string name);
  /// A constant under a fresh name; returns it.
  std::string constant(std::string name, OnnxType type, Tensor values);
  std::string integers(const std::string& name, std::vector<int64_t> values);

  /// The codes of a tensor: a value in the file's axes. Constants are written at their first use.
  std::string codes(int number);
  /// The same for weights and biases, with the elements as the file has them: once for every layout
  /// that its layers take.
  std::string layer_codes(int number, const Tensor& elements);
  /// Names of a tensor's scale and zero point, [] or one per channel.
  std::string scale(int number);
  std::string zero_point(int number);

  /// DequantizeLinear of codes `value` with the tensor's parameters on `axis` (-1: per tensor).
  std::string dequantized(const IntNode& node, const std::string& value, int number, int axis = -1);
  std::string dequantized(const IntNode& node, int number) {
    return dequantized(node, codes(number), number);
  }
  /// The real value `real` becomes the node's output: its activation, QuantizeLinear, clipping.
  void quantized(const IntNode& node, const std::string& real);
  /// The same without the clipping, as `out`, which may still have to be moved.
  void quantize(const IntNode& node, const std::string& real, const std::string& out);
  /// The name under which an operator on codes leaves the output; finish_codes() then clips it.
  std::string codes_output(const IntNode& node);
  void finish_codes(const IntNode& node, const std::string& value);
  void set_codes(int number, std::string value) { codes_[number] = std::move(value); }
  /// Clips `value` to the activation's codes of the node's output, under the output's name.
  void clip_codes(const IntNode& node, const std::string& value);

  /// Real operator `op` over all inputs of the node.
  void real_operator(const IntNode& node, OnnxNode op);
  /// An operator that only moves codes: on `values`, the codes of the node's inputs, with what else
  /// it has as inputs in `op`. qdq: between DequantizeLinear and QuantizeLinear, which change no
  /// code and say the scale. Error unsupported if it would have to change scales.
  void code_operator(const IntNode& node, const std::vector<std::string>& values, OnnxNode op);
  void code_operator(const IntNode& node, OnnxNode op) {
    code_operator(node, {codes(node.inputs[0])}, std::move(op));
  }

  /// `value` of a rank 4 tensor with axes NHWC, or such a value put into the file's axes as
  /// `output`.
  std::string to_nhwc(const IntNode& node, const std::string& value, int rank);
  void from_nhwc(const IntNode& node, const std::string& value, int rank, std::string output);

  OnnxModel take();

 private:
  /// What the node's activation does to codes of the output's type.
  struct CodeBounds {
    int64_t min, max;
    bool cuts;  ///< some code of the type lies outside
  };
  CodeBounds code_bounds(const IntNode& node) const;
  bool clip_is_implied(const IntTensor& output, float low, float high) const;
  void check_tensors() const;
  int64_t needed_opset() const;
  OnnxValueInfo value_info(const IntTensor& tensor) const;

  const IntGraph& graph_;
  OnnxForm form_;
  int64_t opset_ = 13;
  OnnxModel model_;
  std::set<std::string, std::less<>> names_;
  std::map<int, std::string> codes_, scales_, zero_points_;
  std::map<int, std::vector<size_t>> constants_;  ///< initializers of a tensor, one per layout
};

/// Axis of the file for an axis of the IntGraph.
int64_t file_axis(int64_t axis, int rank);
/// Error unsupported unless the bias is int32 codes in units of input scale times weight scale;
/// Tensor of those codes, and one scale per channel or one.
struct OnnxBias {
  Tensor codes;
  std::vector<float> scale;
};
OnnxBias onnx_bias(const OnnxBuilder& builder, const IntNode& node);
/// One entry per axis, in the file's order.
std::vector<int64_t> in_file_order(std::span<const int64_t> entries);

OnnxNode onnx_node(std::string op_type, std::vector<std::string> inputs,
                   std::vector<OnnxAttribute> attributes = {}, std::string_view domain = "");
inline constexpr std::string_view kMicrosoft = "com.microsoft";
OnnxAttribute onnx_attribute(std::string name, int64_t value);
OnnxAttribute onnx_attribute(std::string name, float value);
OnnxAttribute onnx_attribute(std::string name, std::string value);
OnnxAttribute onnx_attribute(std::string name, std::vector<int64_t> values);
/// kernel_shape, strides, pads and, if there is one, dilations.
std::vector<OnnxAttribute> window_attributes(const sim::Window2d& window);

using OnnxOpWriter = void (*)(OnnxBuilder& builder, const IntNode& node);
/// Null for an op without a line in to_onnx.cc.
OnnxOpWriter find_onnx_op(std::string_view op);

#define FACSIM_ONNX_WRITER(name) void write_onnx_##name(OnnxBuilder& builder, const IntNode& node)
FACSIM_ONNX_WRITER(conv2d);
FACSIM_ONNX_WRITER(transpose_conv2d);
FACSIM_ONNX_WRITER(linear);
FACSIM_ONNX_WRITER(batch_matmul);
FACSIM_ONNX_WRITER(elementwise);
FACSIM_ONNX_WRITER(prelu);
FACSIM_ONNX_WRITER(unary);
FACSIM_ONNX_WRITER(clamp);
FACSIM_ONNX_WRITER(lut);
FACSIM_ONNX_WRITER(softmax);
FACSIM_ONNX_WRITER(quantizer);
FACSIM_ONNX_WRITER(max_pool2d);
FACSIM_ONNX_WRITER(avg_pool2d);
FACSIM_ONNX_WRITER(global_avg_pool);
FACSIM_ONNX_WRITER(mean);
FACSIM_ONNX_WRITER(pad);
FACSIM_ONNX_WRITER(concat);
FACSIM_ONNX_WRITER(slice);
FACSIM_ONNX_WRITER(transpose);
FACSIM_ONNX_WRITER(resize);
FACSIM_ONNX_WRITER(reshape);
#undef FACSIM_ONNX_WRITER

}  // namespace facsim::backends::detail
