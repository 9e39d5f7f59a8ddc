// SPDX-License-Identifier: Apache-2.0
// ONNX Runtime's elementwise QLinear ops and pools.
#include <algorithm>
#include <array>

#include "backends/lower/activations.h"
#include "backends/lower/tensor_ops.h"
#include "backends/parity/vectors_onnx-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

/// The three tensors of QLinearAdd and QLinearMul.
struct OnnxBinary {
  const Tensor& a;
  const Tensor& b;
  quant::QParams lhs, rhs, output;
};

OnnxBinary onnx_binary(const CaseData& data) {
  const Tensor& a = data.any({"in_a"});
  const Tensor& b = data.any({"in_b", "const_b"});
  return {a, b, onnx_qparams(data, {"const_a_scale"}, {"const_a_zp"}, code_type(a), -1),
          onnx_qparams(data, {"const_b_scale"}, {"const_b_zp"}, code_type(b), -1),
          onnx_qparams(data, {"const_c_scale"}, {"const_c_zp"}, code_type(data.golden()), -1)};
}

std::vector<Computed> qlinear_add(const CaseRun& run) {
  const OnnxBinary in = onnx_binary(run.data);
  const auto op = lower_add(run.profile, in.lhs, in.rhs, in.output, Activation::none);
  return {{"", execute(*op, {&in.a, &in.b}, run.data.golden().shape(), run.context)}};
}

std::vector<Computed> qlinear_mul(const CaseRun& run) {
  const OnnxBinary in = onnx_binary(run.data);
  const sim::Mul op(lower_mul(run.profile, in.lhs, in.rhs, in.output, Activation::none));
  return {{"", execute(op, {&in.a, &in.b}, run.data.golden().shape(), run.context)}};
}

std::vector<Computed> pool(const CaseRun& run, bool global) {
  const CaseData& data = run.data;
  const Tensor& x = data.any({"in_x"});
  if (x.shape().rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, "in_x", to_string(x.shape()), "(N, C, H, W)", ""});
  }
  if (data.integer("channels_last", 0) != 0) {
    throw Error({ErrorCode::unsupported, "attribute channels_last", "1", "0", ""});
  }
  const sim::Window2d window =
      global ? sim::Window2d{} : onnx_window(data, data.steps("kernel_shape")).window;
  const auto op = lower_avg_pool2d(
      run.profile, window, global, data.integer("count_include_pad", 0) != 0,
      onnx_qparams(data, {"const_x_scale"}, {"const_x_zp"}, code_type(x), -1),
      onnx_qparams(data, {"const_y_scale"}, {"const_y_zp"}, code_type(data.golden()), -1),
      Activation::none, x.shape()[2], x.shape()[3]);
  return {{"", execute_nchw(*op, x, data.golden().shape(), run.context)}};
}

struct OnnxUnary {
  const Tensor& x;
  quant::QParams input, output;
};

OnnxUnary onnx_unary(const CaseData& data) {
  const Tensor& x = data.any({"in_x"});
  return {x, onnx_qparams(data, {"const_x_scale"}, {"const_x_zp"}, code_type(x), -1),
          onnx_qparams(data, {"const_y_scale"}, {"const_y_zp"}, code_type(data.golden()), -1)};
}

std::vector<Computed> qlinear_leaky_relu(const CaseRun& run) {
  const OnnxUnary unary = onnx_unary(run.data);
  const auto op = lower_leaky_relu(run.profile, unary.input, unary.output, run.data.real("alpha"));
  return {{"", execute(*op, {&unary.x}, run.data.golden().shape(), run.context)}};
}

std::vector<Computed> qlinear_sigmoid(const CaseRun& run) {
  const OnnxUnary unary = onnx_unary(run.data);
  const auto op = lower_sigmoid(run.profile, "sigmoid", unary.input, unary.output);
  return {{"", execute(*op, {&unary.x}, run.data.golden().shape(), run.context)}};
}

std::vector<Computed> qlinear_average_pool(const CaseRun& run) { return pool(run, false); }
std::vector<Computed> qlinear_global_average_pool(const CaseRun& run) { return pool(run, true); }

constexpr std::array<AdapterEntry, 6> kOnnxElementwise{{
    {"QLinearLeakyRelu", qlinear_leaky_relu},
    {"QLinearSigmoid", qlinear_sigmoid},
    {"QLinearAdd", qlinear_add},
    {"QLinearMul", qlinear_mul},
    {"QLinearAveragePool", qlinear_average_pool},
    {"QLinearGlobalAveragePool", qlinear_global_average_pool},
}};

}  // namespace

std::span<const AdapterEntry> onnx_elementwise_adapters() { return kOnnxElementwise; }

}  // namespace facsim::backends::detail
