// SPDX-License-Identifier: Apache-2.0
// ONNX's quantized layers: QLinearConv, ConvInteger, QLinearMatMul, MatMulInteger, QGemm. Data
// NCHW, weights OIHW or [K, N]; transposed here.
#include <array>
#include <cstddef>
#include <cstring>

#include "backends/graph/permute.h"
#include "backends/lower/requantize-internal.h"
#include "backends/parity/vectors_onnx-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

quant::QParams onnx_qparams(const CaseData& data, Roles scale, Roles zero_point, sim::IntType type,
                            int axis) {
  const Tensor* zero_points = data.find(zero_point);
  return make_qparams(reals_of(data.any(scale)),
                      zero_points != nullptr ? integers_of(*zero_points) : std::vector<int64_t>{0},
                      type, axis);
}

quant::QParams onnx_zero_points(const CaseData& data, Roles zero_point, sim::IntType type,
                                int axis) {
  const Tensor* zero_points = data.find(zero_point);
  return make_qparams({1.0f},
                      zero_points != nullptr ? integers_of(*zero_points) : std::vector<int64_t>{0},
                      type, axis);
}

Tensor execute_nchw(const sim::Op& op, const Tensor& input, const Shape& expected,
                    const sim::RunContext& context) {
  const Tensor nhwc = permuted(input, kNchwToNhwc);
  if (expected.rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, "output", to_string(expected), "(N, C, H, W)", ""});
  }
  const Shape nhwc_expected{expected[0], expected[2], expected[3], expected[1]};
  return permuted(execute(op, {&nhwc}, nhwc_expected, context), kNhwcToNchw);
}

LayerBias onnx_bias(const Tensor* codes, const quant::QParams& input,
                    const quant::QParams& weights) {
  LayerBias bias;
  if (codes == nullptr) return bias;
  bias.codes = *codes;
  bias.qparams.scale.clear();
  for (const float scale : weights.scale) {
    bias.qparams.scale.push_back(input.scale.front() * scale);
  }
  bias.qparams.zero_point.assign(weights.scale.size(), 0);
  return bias;
}

OnnxWindow onnx_window(const CaseData& data, Pair kernel) {
  OnnxWindow out;
  out.window.kernel = kernel;
  out.window.stride = data.steps("strides", Pair{1, 1});
  out.window.dilation = data.steps("dilations", Pair{1, 1});
  data.require_layout("data_layout", "NCHW");
  const std::string_view auto_pad =
      data.word("auto_pad", {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"});
  if (auto_pad.starts_with("SAME") || (auto_pad == "VALID" && data.has("pads"))) {
    throw Error({ErrorCode::unsupported, "attribute auto_pad", std::string(auto_pad),
                 "NOTSET and pads, or VALID without pads", ""});
  }
  const std::vector<int64_t> pads = data.integers("pads", 4, std::vector<int64_t>{0, 0, 0, 0});
  out.window.padding = {pads[0], pads[1], pads[2], pads[3]};
  out.groups = data.integer("group", 1);
  return out;
}

namespace {

[[noreturn]] void refuse_shapes(const Tensor& a, const Tensor& b) {
  throw Error({ErrorCode::shape_mismatch, "",
               "inputs " + to_string(a.shape()) + " and " + to_string(b.shape()),
               "(..., K) and (K, N)", ""});
}

/// a as rows [R, K] for b [K, N].
Tensor rows_of(const Tensor& a, const Tensor& b) {
  if (b.shape().rank() != 2) {
    throw Error({ErrorCode::unsupported, "", "second operand " + to_string(b.shape()),
                 "constant weights (K, N)", ""});
  }
  const int64_t k = b.shape()[0];
  const int rank = a.shape().rank();
  if (rank < 1 || k < 1 || a.shape()[rank - 1] != k) refuse_shapes(a, b);
  return a.reshaped({a.numel() / k, k});
}

Tensor with_shape(const Tensor& tensor, const Shape& expected) {
  if (tensor.numel() != expected.numel()) {
    throw Error(
        {ErrorCode::shape_mismatch, "output", to_string(tensor.shape()), to_string(expected), ""});
  }
  return tensor.reshaped(expected);
}

/// Elements [begin, begin + shape.numel()) of a tensor.
Tensor elements_of(const Tensor& tensor, int64_t begin, const Shape& shape) {
  Tensor out = Tensor::uninitialized(tensor.dtype(), shape);
  const auto size = static_cast<int64_t>(size_of(tensor.dtype()));
  std::memcpy(out.raw(), static_cast<const std::byte*>(tensor.raw()) + begin * size, out.bytes());
  return out;
}

/// a [..., R, K] times b [..., K, N] by multiply(a [R, K], b [K, N]) for each of the leading
/// indices, which both have, or times one b [K, N].
template <class Multiply>
Tensor by_matrix(const Tensor& a, const Tensor& b, const Shape& expected,
                 const Multiply& multiply) {
  const int rank = b.shape().rank();
  if (rank == 2) return with_shape(multiply(a, b), expected);
  bool fits = rank > 2 && a.shape().rank() == rank;
  for (int i = 0; fits && i < rank - 2; ++i) fits = a.shape()[i] == b.shape()[i];
  if (!fits || a.numel() == 0 || b.numel() == 0) refuse_shapes(a, b);
  const Shape lhs{a.shape()[rank - 2], a.shape()[rank - 1]};
  const Shape rhs{b.shape()[rank - 2], b.shape()[rank - 1]};
  Tensor out;
  const int64_t matrices = a.numel() / lhs.numel();
  for (int64_t i = 0; i < matrices; ++i) {
    const Tensor product =
        multiply(elements_of(a, i * lhs.numel(), lhs), elements_of(b, i * rhs.numel(), rhs));
    if (expected.numel() != matrices * product.numel()) refuse_shapes(a, b);
    if (i == 0) out = Tensor::uninitialized(product.dtype(), expected);
    std::memcpy(static_cast<std::byte*>(out.raw()) + static_cast<size_t>(i) * product.bytes(),
                product.raw(), product.bytes());
  }
  return out;
}

std::vector<Computed> qlinear_conv(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& x = data.any({"in_x"});
  const Tensor w = permuted(data.any({"const_w", "in_w"}), kOihwToOhwi);
  const quant::QParams input = onnx_qparams(data, {"const_x_scale", "in_x_scale"},
                                            {"const_x_zp", "in_x_zero_point"}, code_type(x), -1);
  const quant::QParams weights = onnx_qparams(data, {"const_w_scale", "in_w_scale"},
                                              {"const_w_zp", "in_w_zero_point"}, code_type(w), 0);
  const quant::QParams output =
      onnx_qparams(data, {"const_y_scale", "in_y_scale"}, {"const_y_zp", "in_y_zero_point"},
                   code_type(data.golden()), -1);
  const auto [window, groups] = onnx_window(data, {w.shape()[1], w.shape()[2]});
  const sim::Conv2d op(lower_conv2d(run.profile, window, groups, input, w, weights,
                                    onnx_bias(data.find({"const_b", "in_B"}), input, weights),
                                    output, Activation::none));
  return {{"", execute_nchw(op, x, data.golden().shape(), run.context)}};
}

/// The accumulators of a convolution by the rules of `op`.
Tensor accumulate(const CaseRun& run, std::string_view op, const OnnxWindow& geometry,
                  const Tensor& x, const quant::QParams& input, Tensor w,
                  const quant::QParams& weights, const Shape& expected) {
  const OpRules& rules = run.profile.rules(op);
  require_type("input", input.type, rules.activation_types);
  require_type("weights", weights.type, rules.weight_types);
  sim::Conv2dParams params;
  params.window = geometry.window;
  params.groups = geometry.groups;
  params.input_type = input.type;
  params.weight_type = weights.type;
  params.input_zero_point = input.zero_point.front();
  params.padding_value = params.input_zero_point;
  params.weight_zero_point = weights.zero_point;
  params.accumulator = rules.accumulator;
  const auto [oh, ow] = params.window.output_extent(x.shape()[1], x.shape()[2]);
  const Shape shape{x.shape()[0], oh, ow, w.shape()[0]};
  if (shape != expected) {
    throw Error({ErrorCode::shape_mismatch, "output", to_string(shape), to_string(expected), ""});
  }
  params.weights = std::move(w);
  Tensor accumulators(sim::accumulator_dtype(rules.accumulator), shape);
  sim::conv2d_accumulate(params, x, accumulators, run.context);
  return accumulators;
}

std::vector<Computed> conv_integer(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor x = permuted(data.any({"in_x"}), kNchwToNhwc);
  const Tensor w = permuted(data.any({"const_w", "in_w"}), kOihwToOhwi);
  const Shape& y = data.golden().shape();
  if (y.rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, "output", to_string(y), "(N, C, H, W)", ""});
  }
  const Tensor accumulators =
      accumulate(run, "conv2d", onnx_window(data, {w.shape()[1], w.shape()[2]}), x,
                 onnx_zero_points(data, {"const_x_zp", "in_x_zero_point"}, code_type(x), -1), w,
                 onnx_zero_points(data, {"const_w_zp", "in_w_zero_point", "in_w_zero_points"},
                                  code_type(w), 0),
                 {y[0], y[2], y[3], y[1]});
  return {{"", permuted(accumulators, kNhwcToNchw)}};
}

std::vector<Computed> matmul_integer(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& a = data.any({"in_a", "in_A"});
  const Tensor& b = data.any({"const_b", "in_b", "in_B"});
  const quant::QParams a_zero_points =
      onnx_zero_points(data, {"const_a_zp", "in_a_zero_point"}, code_type(a), -1);
  const quant::QParams b_zero_points =
      onnx_zero_points(data, {"const_b_zp", "in_b_zero_point"}, code_type(b), 0);
  const auto multiply = [&](const Tensor& lhs, const Tensor& rhs) {
    const Tensor rows = rows_of(lhs, rhs);
    const int64_t k = rhs.shape()[0];
    const int64_t n = rhs.shape()[1];
    return accumulate(run, "linear", {}, rows.reshaped({rows.shape()[0], 1, 1, k}), a_zero_points,
                      permuted(rhs, kSwapped).reshaped({n, 1, 1, k}), b_zero_points,
                      {rows.shape()[0], 1, 1, n});
  };
  return {{"", by_matrix(a, b, data.golden().shape(), multiply)}};
}

/// QLinearMatMul, and QGemm with its bias `c`.
std::vector<Computed> qlinear_matmul(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& a = data.any({"in_a"});
  const Tensor& b = data.any({"const_b", "in_b"});
  const quant::QParams lhs = onnx_qparams(data, {"const_a_scale", "in_a_scale"},
                                          {"const_a_zp", "in_a_zero_point"}, code_type(a), -1);
  const quant::QParams rhs = onnx_qparams(data, {"const_b_scale", "in_b_scale"},
                                          {"const_b_zp", "in_b_zero_point"}, code_type(b), 0);
  const quant::QParams output =
      onnx_qparams(data, {"const_y_scale", "in_y_scale"}, {"const_y_zp", "in_y_zero_point"},
                   code_type(data.golden()), -1);
  const LayerBias bias = onnx_bias(data.find({"const_c"}), lhs, rhs);
  return {{"", matmul(run, a, lhs, b, rhs, bias, output, data.golden().shape())}};
}

std::vector<Computed> qgemm(const CaseRun& run) {
  const CaseData& data = run.data;
  if (data.integer("transA", 0) != 0 || data.integer("transB", 0) != 0 ||
      data.real("alpha") != 1.0f) {
    throw Error({ErrorCode::unsupported, "QGemm", "a transposed operand or alpha other than 1",
                 "transA 0, transB 0, alpha 1", ""});
  }
  return qlinear_matmul(run);
}

constexpr std::array<AdapterEntry, 5> kOnnxLayers{{
    {"QLinearConv", qlinear_conv},
    {"ConvInteger", conv_integer},
    {"MatMulInteger", matmul_integer},
    {"QLinearMatMul", qlinear_matmul},
    {"QGemm", qgemm},
}};

}  // namespace

Tensor matmul(const CaseRun& run, const Tensor& a, const quant::QParams& a_qparams, const Tensor& b,
              const quant::QParams& b_qparams, const LayerBias& bias,
              const quant::QParams& y_qparams, const Shape& expected) {
  const auto multiply = [&](const Tensor& lhs, const Tensor& rhs) {
    const Tensor rows = rows_of(lhs, rhs);
    const sim::Linear op(lower_linear(run.profile, a_qparams, permuted(rhs, kSwapped), b_qparams,
                                      bias, y_qparams, Activation::none));
    return execute(op, {&rows}, {rows.shape()[0], rhs.shape()[1]}, run.context);
  };
  return by_matrix(a, b, expected, multiply);
}

std::span<const AdapterEntry> onnx_layer_adapters() { return kOnnxLayers; }

}  // namespace facsim::backends::detail
