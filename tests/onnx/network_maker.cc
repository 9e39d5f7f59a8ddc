// SPDX-License-Identifier: Apache-2.0
#include "tests/onnx/network_maker.h"

#include <algorithm>
#include <cmath>

namespace facsim::test {

using backends::OnnxDim;
using backends::OnnxNode;
using backends::OnnxType;

namespace {

sim::IntType int_type(OnnxType type) { return *backends::code_type(type); }

std::vector<OnnxDim> with_open_batch(const std::vector<int64_t>& shape) {
  std::vector<OnnxDim> dims(shape.begin(), shape.end());
  dims[0] = std::string("N");
  return dims;
}

}  // namespace

NetworkMaker::NetworkMaker(uint64_t seed, int64_t opset) : random_(seed) {
  model_.producer_name = "facsim tests";
  model_.opsets = {{"", opset}, {"com.microsoft", 1}};
  model_.graph.name = "g";
}

int64_t NetworkMaker::pick(int64_t low, int64_t high) {
  return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
}

float NetworkMaker::real(float low, float high) {
  return low + (high - low) * static_cast<float>(random_() >> 40) * 0x1p-24f;
}

CodeScale NetworkMaker::scale(OnnxType type, float range, bool lowest_is_zero) {
  const sim::IntType codes = int_type(type);
  CodeScale out;
  out.type = type;
  out.scale = range / std::ldexp(1.0f, codes.bits - 1) * real(0.7f, 1.4f);
  const int64_t middle = codes.is_signed ? 0 : int64_t{1} << (codes.bits - 1);
  out.zero_point = lowest_is_zero    ? codes.min()
                   : pick(0, 7) == 0 ? one_of<int64_t>({codes.min(), codes.max()})
                                     : middle + pick(-codes.max() / 4, codes.max() / 4);
  if (!lowest_is_zero && pick(0, 3) == 0) out.scale = std::exp2(std::round(std::log2(out.scale)));
  return out;
}

MadeCodes NetworkMaker::input_codes(std::vector<int64_t> shape, const CodeScale& scale) {
  shape[0] = kBatch;
  const std::string name = fresh("x");
  model_.graph.inputs.push_back({name, scale.type, with_open_batch(shape)});
  inputs_.emplace_back(name, codes(scale.type, shape));
  return {name, shape, scale};
}

MadeValue NetworkMaker::input_reals(std::vector<int64_t> shape, float range) {
  shape[0] = kBatch;
  const std::string name = fresh("x");
  model_.graph.inputs.push_back({name, OnnxType::float32, with_open_batch(shape)});
  Tensor values(DType::float32, Shape(shape));
  for (float& value : values.values<float>()) value = real(-range, range);
  inputs_.emplace_back(name, values);
  return {name, shape};
}

void NetworkMaker::output(const std::string& name, OnnxType type) {
  model_.graph.outputs.push_back({name, type, {}});
}

std::string NetworkMaker::constant(OnnxType type, const Tensor& values) {
  const std::string name = fresh("c");
  model_.graph.initializers.push_back({name, type, values});
  return name;
}

std::string NetworkMaker::scalar(float value) {
  return constant(OnnxType::float32, Tensor::from<float>({}, {&value, 1}));
}

std::string NetworkMaker::scalar_code(OnnxType type, int64_t value) {
  Tensor values(*backends::storage_of(type), {});
  values.set_int(0, value);
  return constant(type, values);
}

std::string NetworkMaker::int64s(std::vector<int64_t> values) {
  return constant(OnnxType::int64,
                  Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values));
}

std::string NetworkMaker::reals(std::vector<float> values) {
  return constant(OnnxType::float32,
                  Tensor::from<float>({static_cast<int64_t>(values.size())}, values));
}

Tensor NetworkMaker::codes(OnnxType type, std::vector<int64_t> shape) {
  Tensor out(*backends::storage_of(type), Shape(std::move(shape)));
  const sim::IntType range = int_type(type);
  for (int64_t i = 0; i < out.numel(); ++i) out.set_int(i, pick(range.min(), range.max()));
  return out;
}

std::string NetworkMaker::node(const std::string& op, std::vector<std::string> inputs,
                               Attributes attributes, const std::string& domain) {
  OnnxNode made;
  made.op_type = op;
  made.domain = domain;
  made.name = fresh("n");
  made.inputs = std::move(inputs);
  made.outputs = {fresh("y")};
  made.attributes = std::move(attributes);
  model_.graph.nodes.push_back(made);
  return made.outputs[0];
}

std::vector<std::string> NetworkMaker::parts(const std::string& op, std::vector<std::string> inputs,
                                             Attributes attributes, int count) {
  node(op, std::move(inputs), std::move(attributes));
  std::vector<std::string>& outputs = model_.graph.nodes.back().outputs;
  while (static_cast<int>(outputs.size()) < count) outputs.push_back(fresh("y"));
  return outputs;
}

std::string NetworkMaker::quantize(const std::string& x, const CodeScale& scale) {
  return node("QuantizeLinear", {x, scale_name(scale), zero_name(scale)});
}

std::string NetworkMaker::dequantize(const std::string& x, const CodeScale& scale) {
  return node("DequantizeLinear", {x, scale_name(scale), zero_name(scale)});
}

NetworkMaker::Layer NetworkMaker::layer(OnnxType type, const std::vector<int64_t>& shape, int axis,
                                        bool per_channel, float input_scale, float weight_range) {
  const int64_t channels = shape[static_cast<size_t>(axis)];
  const int64_t scales = per_channel ? channels : 1;
  const bool is_signed = int_type(type).is_signed;
  const int64_t zero = is_signed ? 0 : pick(100, 156);
  const Shape own = per_channel ? Shape{channels} : Shape{};
  Tensor weight_scale(DType::float32, own), bias_scale(DType::float32, own);
  Tensor zero_points(*backends::storage_of(type), own), bias_zero(DType::int32, own);
  for (int64_t c = 0; c < scales; ++c) {
    const float scale = weight_range / 127 * real(0.5f, 1.5f);
    weight_scale.data<float>()[c] = scale;
    bias_scale.data<float>()[c] = input_scale * scale;
    zero_points.set_int(c, zero);
  }
  Tensor bias(DType::int32, {channels});
  for (int64_t c = 0; c < channels; ++c) bias.set_int(c, pick(-4000, 4000));
  Layer out;
  out.codes = constant(type, codes(type, shape));
  out.scale = constant(OnnxType::float32, weight_scale);
  out.zero_point = constant(type, zero_points);
  out.bias = constant(OnnxType::int32, bias);
  out.bias_scale = constant(OnnxType::float32, bias_scale);
  out.bias_zero_point = constant(OnnxType::int32, bias_zero);
  return out;
}

}  // namespace facsim::test
