// SPDX-License-Identifier: Apache-2.0
// Small float graphs with QuantizeLinear and DequantizeLinear around each op ("QDQ"), as ONNX
// Runtime fuses them into integer kernels: the input is quantized, then each op runs on codes.
// Geometry comes from the model's own nodes.
#include <array>

#include "backends/graph/permute.h"
#include "backends/parity/onnx_geometry-internal.h"
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
  for (OnnxNode& node : read_onnx_nodes(read_file(file), file.string())) {
    if (node.op == op) nodes.push_back(std::move(node));
  }
  if (nodes.size() != count) {
    throw Error({ErrorCode::bad_value, file.string(),
                 std::to_string(nodes.size()) + " nodes " + std::string(op), std::to_string(count),
                 ""});
  }
  return nodes;
}

std::vector<int64_t> attribute(const OnnxNode& node, std::string_view name,
                               std::vector<int64_t> fallback) {
  const auto found = node.integers.find(name);
  if (found == node.integers.end()) return fallback;
  if (found->second.size() != fallback.size()) {
    throw Error({ErrorCode::bad_value, node.op + " " + std::string(name),
                 std::to_string(found->second.size()) + " integers",
                 std::to_string(fallback.size()), ""});
  }
  for (const int64_t value : found->second) {
    if (value < 0 || value > 65536) {
      throw Error({ErrorCode::bad_value, node.op + " " + std::string(name), std::to_string(value),
                   "0..65536", ""});
    }
  }
  return found->second;
}

OnnxWindow geometry(const OnnxNode& node, Pair kernel) {
  const auto stride = attribute(node, "strides", {1, 1});
  const auto dilation = attribute(node, "dilations", {1, 1});
  const auto pads = attribute(node, "pads", {0, 0, 0, 0});
  OnnxWindow out;
  out.window = {kernel,
                {stride[0], stride[1]},
                {dilation[0], dilation[1]},
                {pads[0], pads[1], pads[2], pads[3]}};
  out.groups = attribute(node, "group", {1})[0];
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
  const auto kernel = attribute(nodes[0], "kernel_shape", {1, 1});
  const auto op = lower_avg_pool2d(
      run.profile, geometry(nodes[0], {kernel[0], kernel[1]}).window, /*global=*/false,
      attribute(nodes[0], "count_include_pad", {0})[0] != 0, input,
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
