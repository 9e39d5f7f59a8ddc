// SPDX-License-Identifier: Apache-2.0
#include <string_view>

#include "backends/onnx/quantized_network.h"
#include "sim/core/error.h"
#include "tests/fuzz/fuzz.h"
#include "tests/onnx/network_maker.h"

namespace facsim::fuzz {

namespace {

using backends::OnnxType;
using test::CodeScale;
using test::NetworkMaker;

const CodeScale kScale{0.05f, 10, OnnxType::int8};

/// QDQ: convolution, pool, reshape, fully connected layer, real numbers at both ends.
std::string qdq() {
  NetworkMaker m(1);
  const auto x = m.input_reals({0, 2, 6, 5}, 2);
  const auto conv = m.layer(OnnxType::int8, {3, 2, 3, 2}, 0, true, kScale.scale, 0.5f);
  const auto last = m.layer(OnnxType::int8, {3, 4}, 1, false, kScale.scale, 0.5f);
  const auto weights = [&](const NetworkMaker::Layer& layer, int64_t axis) {
    return m.node("DequantizeLinear", {layer.codes, layer.scale, layer.zero_point},
                  {{"axis", axis}});
  };
  std::string real = m.dequantize(m.quantize(x.name, kScale), kScale);
  real = m.node("Conv", {real, weights(conv, 0)}, {{"pads", std::vector<int64_t>{1, 0, 0, 1}}});
  real = m.dequantize(m.quantize(real, kScale), kScale);
  real = m.node("GlobalAveragePool", {real});
  real = m.dequantize(m.quantize(real, kScale), kScale);
  real = m.node("Reshape", {real, m.int64s({0, -1})});
  real = m.node("Gemm", {real, weights(last, 1)});
  m.output(m.dequantize(m.quantize(real, kScale), kScale), OnnxType::float32);
  return backends::onnx_bytes(m.model());
}

/// QOperator: convolution, addition, moves of codes.
std::string qoperator() {
  NetworkMaker m(2);
  const auto x = m.input_codes({0, 2, 4, 5}, kScale);
  const auto conv = m.layer(OnnxType::int8, {2, 1, 1, 1}, 0, false, kScale.scale, 0.5f);
  const std::string scale = m.scale_name(kScale), zero = m.zero_name(kScale);
  const std::string y =
      m.node("QLinearConv",
             {x.name, scale, zero, conv.codes, conv.scale, conv.zero_point, scale, zero, conv.bias},
             {{"group", int64_t{2}}, {"kernel_shape", std::vector<int64_t>{1, 1}}});
  std::string sum =
      m.node("QLinearAdd", {y, scale, zero, x.name, scale, zero, scale, zero}, {}, "com.microsoft");
  sum = m.node("Transpose", {sum}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}}});
  sum = m.node("Slice", {sum, m.int64s({1}), m.int64s({4}), m.int64s({1})});
  sum = m.node("Concat", {sum, sum}, {{"axis", int64_t{-1}}});
  sum = m.node("MaxPool", {sum}, {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  m.output(m.node("Flatten", {sum}), OnnxType::int8);
  return backends::onnx_bytes(m.model());
}

}  // namespace

std::vector<std::string> seeds() { return {qdq(), qoperator()}; }

}  // namespace facsim::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace facsim;
  try {
    const auto model =
        backends::parse_onnx_model({reinterpret_cast<const char*>(data), size}, "input");
    fuzz::run_network(backends::quantized_network(model));
  } catch (const Error&) {
  }
  return 0;
}
