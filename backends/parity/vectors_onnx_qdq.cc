// SPDX-License-Identifier: Apache-2.0
// Small float graphs with QuantizeLinear and DequantizeLinear around each op ("QDQ"), as ONNX
// Runtime fuses them into integer kernels: the input is quantized, then each op runs on codes.
// Geometry comes from the model's own nodes.
#include <array>

#include "backends/graph/permute.h"
#include "backends/onnx/onnx_model.h"
#include "backends/parity/vectors_onnx-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

quant::QParams qdq_qparams(const CaseData& data, const std::string& scale,
                           const std::string& zero_point, int axis) {
  const Tensor& zero_points = data.array(zero_point);
  return make_qparams(reals_of(data.array(scale)), integers_of(zero_points), code_type(zero_points),
                      axis);
}

Tensor quantized_input(const CaseRun& run, const quant::QParams& qparams) {
  const Tensor& x = run.data.array("in_x");
  const auto op = lower_quantize(run.profile, qparams);
  return execute(*op, {&x}, x.shape(), run.context);
}

/// The model's nodes of one op type, in order.
std::vector<OnnxNode> nodes_of(const CaseData& data, std::string_view op, size_t count) {
  const std::string& model = data.description().model;
  if (model.empty()) {
    throw Error({ErrorCode::missing_key, "", "no files.model",
                 "the model whose nodes hold the geometry", ""});
  }
  const std::filesystem::path file = data.folder() / model;
  std::vector<OnnxNode> nodes;
  OnnxModel read = read_onnx_model(file);
  for (OnnxNode& node : read.graph.nodes) {
    if (node.op_type == op) nodes.push_back(std::move(node));
  }
  if (nodes.size() != count) {
    throw Error({ErrorCode::bad_value, file.string(),
                 std::to_string(nodes.size()) + " nodes " + std::string(op), std::to_string(count),
                 ""});
  }
  return nodes;
}

/// Sizes of a node's attribute: as many as `fallback` has, 0..65536.
std::vector<int64_t> sizes_of(const OnnxNode& node, std::string_view name,
                              const std::vector<int64_t>& fallback) {
  const std::vector<int64_t> sizes = integers_attribute(node, name, fallback);
  bool fits = sizes.size() == fallback.size();
  for (const int64_t size : sizes) fits &= size >= 0 && size <= 65536;
  if (!fits) {
    throw Error({ErrorCode::bad_value, place_of(node), std::string(name),
                 std::to_string(fallback.size()) + " integers in 0..65536", ""});
  }
  return sizes;
}

OnnxWindow geometry(const OnnxNode& node, Pair kernel) {
  const auto stride = sizes_of(node, "strides", {1, 1});
  const auto dilation = sizes_of(node, "dilations", {1, 1});
  const auto pads = sizes_of(node, "pads", {0, 0, 0, 0});
  OnnxWindow out;
  out.window = {kernel,
                {stride[0], stride[1]},
                {dilation[0], dilation[1]},
                {pads[0], pads[1], pads[2], pads[3]}};
  out.groups = integer_attribute(node, "group", 1);
  return out;
}

/// One convolution on codes NHWC. `w`, `b` are the letters of its weights and bias in the case's
/// roles const_<letter>q, const_<letter>s, const_<letter>z.
Tensor convolve(const CaseRun& run, const OnnxNode& node, const Tensor& x,
                const quant::QParams& input, const std::string& w, const std::string& b,
                const quant::QParams& output, Activation activation) {
  const CaseData& data = run.data;
  const Tensor weights = permuted(data.array("const_" + w + "q"), kOihwToOhwi);
  const quant::QParams weight_qparams =
      qdq_qparams(data, "const_" + w + "s", "const_" + w + "z", 0);
  const auto [window, groups] = geometry(node, {weights.shape()[1], weights.shape()[2]});
  LayerBias bias = onnx_bias(data.find({"const_" + b + "q"}), input, weight_qparams);
  const sim::Conv2d op(lower_conv2d(run.profile, window, groups, input, weights, weight_qparams,
                                    bias, output, activation));
  const auto [oh, ow] = window.output_extent(x.shape()[1], x.shape()[2]);
  constexpr int64_t kMaxElements = int64_t{1} << 28;
  const Shape expected{x.shape()[0], oh, ow, weights.shape()[0]};
  if (expected.numel() > kMaxElements) {
    throw Error({ErrorCode::bad_value, "output", to_string(expected), "at most 2^28 elements", ""});
  }
  return execute(op, {&x}, expected, run.context);
}

std::vector<Computed> conv(const CaseRun& run, Activation activation) {
  const CaseData& data = run.data;
  const quant::QParams input = qdq_qparams(data, "const_xs", "const_xz", -1);
  const quant::QParams output = qdq_qparams(data, "const_ys", "const_yz", -1);
  const Tensor x = permuted(quantized_input(run, input), kNchwToNhwc);
  const std::vector<OnnxNode> nodes = nodes_of(data, "Conv", 1);
  const Tensor y = convolve(run, nodes[0], x, input, "w", "b", output, activation);
  return {{"", permuted(y, kNhwcToNchw)}};
}

std::vector<Computed> qdq_conv(const CaseRun& run) { return conv(run, Activation::none); }
std::vector<Computed> qdq_conv_relu(const CaseRun& run) { return conv(run, Activation::relu); }

std::vector<Computed> qdq_conv_relu_conv(const CaseRun& run) {
  const CaseData& data = run.data;
  const quant::QParams input = qdq_qparams(data, "const_xs", "const_xz", -1);
  const quant::QParams middle = qdq_qparams(data, "const_ms", "const_mz", -1);
  const quant::QParams output = qdq_qparams(data, "const_ys", "const_yz", -1);
  const Tensor x = permuted(quantized_input(run, input), kNchwToNhwc);
  const std::vector<OnnxNode> nodes = nodes_of(data, "Conv", 2);
  const Tensor m = convolve(run, nodes[0], x, input, "w", "b", middle, Activation::relu);
  const Tensor y = convolve(run, nodes[1], m, middle, "v", "e", output, Activation::none);
  return {{"", permuted(y, kNhwcToNchw)}};
}

std::vector<Computed> qdq_gemm(const CaseRun& run) {
  const CaseData& data = run.data;
  const quant::QParams input = qdq_qparams(data, "const_xs", "const_xz", -1);
  const quant::QParams weights = qdq_qparams(data, "const_ws", "const_wz", 0);
  const quant::QParams output = qdq_qparams(data, "const_ys", "const_yz", -1);
  const Tensor x = quantized_input(run, input);
  return {{"", matmul(run, x, input, data.array("const_wq"), weights, {}, output,
                      data.golden().shape())}};
}

std::vector<Computed> qdq_add(const CaseRun& run) {
  const CaseData& data = run.data;
  const quant::QParams input = qdq_qparams(data, "const_xs", "const_xz", -1);
  const Tensor x = quantized_input(run, input);
  const Tensor& k = data.array("const_k");
  const auto op = lower_add(run.profile, input, qdq_qparams(data, "const_ks", "const_kz", -1),
                            qdq_qparams(data, "const_ys", "const_yz", -1), Activation::none);
  return {{"", execute(*op, {&x, &k}, data.golden().shape(), run.context)}};
}

std::vector<Computed> qdq_average_pool(const CaseRun& run) {
  const CaseData& data = run.data;
  const quant::QParams input = qdq_qparams(data, "const_xs", "const_xz", -1);
  const Tensor x = quantized_input(run, input);
  if (x.shape().rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, "in_x", to_string(x.shape()), "(N, C, H, W)", ""});
  }
  const std::vector<OnnxNode> nodes = nodes_of(data, "AveragePool", 1);
  const auto kernel = sizes_of(nodes[0], "kernel_shape", {1, 1});
  const auto op = lower_avg_pool2d(
      run.profile, geometry(nodes[0], {kernel[0], kernel[1]}).window, /*global=*/false,
      integer_attribute(nodes[0], "count_include_pad", 0) != 0, input,
      qdq_qparams(data, "const_ys", "const_yz", -1), Activation::none, x.shape()[2], x.shape()[3]);
  return {{"", execute_nchw(*op, x, data.golden().shape(), run.context)}};
}

constexpr std::array<AdapterEntry, 6> kOnnxQdq{{
    {"QDQ_conv", qdq_conv},
    {"QDQ_conv_relu", qdq_conv_relu},
    {"QDQ_conv_relu_conv", qdq_conv_relu_conv},
    {"QDQ_gemm", qdq_gemm},
    {"QDQ_add", qdq_add},
    {"QDQ_averagepool", qdq_average_pool},
}};

}  // namespace

std::span<const AdapterEntry> onnx_qdq_adapters() { return kOnnxQdq; }

}  // namespace facsim::backends::detail
