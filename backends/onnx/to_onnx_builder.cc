// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "backends/graph/permute.h"
#include "backends/onnx/to_onnx-internal.h"
#include "quant/tensor_spec.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

/// A constant activation in the file's axes.
Tensor in_file_axes(const Tensor& tensor) {
  return tensor.shape().rank() == 4 ? permuted(tensor, kNhwcToNchw) : tensor;
}

template <class T>
Tensor tensor_of(std::span<const T> values, bool scalar) {
  return Tensor::from<T>(scalar ? Shape{} : Shape{static_cast<int64_t>(values.size())}, values);
}

Tensor codes_tensor(const std::vector<int64_t>& values, DType dtype, bool scalar) {
  Tensor out(dtype, scalar ? Shape{} : Shape{static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) out.set_int(static_cast<int64_t>(i), values[i]);
  return out;
}

bool holds_same_codes(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

OnnxType type_of(const IntTensor& tensor) {
  if (tensor.dtype == DType::float32) return OnnxType::float32;
  if (!tensor.qparams || tensor.dtype == DType::int32) return OnnxType::int32;
  if (const auto type = onnx_type(tensor.qparams->type)) return *type;
  throw Error({ErrorCode::unsupported, fmt::format("tensor \"{}\"", tensor.name),
               fmt::format("codes of {} bits", tensor.qparams->type.bits), "2, 4, 8, 16 or 32 bits",
               "ONNX cannot say it"});
}

}  // namespace

int64_t file_axis(int64_t axis, int rank) {
  if (rank != 4 || axis == 0) return axis;
  return axis == 3 ? 1 : axis + 1;
}

std::vector<int64_t> in_file_order(std::span<const int64_t> entries) {
  std::vector<int64_t> out(entries.begin(), entries.end());
  for (size_t axis = 0; axis < entries.size(); ++axis) {
    out[static_cast<size_t>(
        file_axis(static_cast<int64_t>(axis), static_cast<int>(entries.size())))] = entries[axis];
  }
  return out;
}

OnnxNode onnx_node(std::string op_type, std::vector<std::string> inputs,
                   std::vector<OnnxAttribute> attributes, std::string_view domain) {
  OnnxNode node;
  node.op_type = std::move(op_type);
  node.domain = domain;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  return node;
}

OnnxAttribute onnx_attribute(std::string name, int64_t value) { return {std::move(name), value}; }
OnnxAttribute onnx_attribute(std::string name, float value) { return {std::move(name), value}; }
OnnxAttribute onnx_attribute(std::string name, std::string value) {
  return {std::move(name), std::move(value)};
}
OnnxAttribute onnx_attribute(std::string name, std::vector<int64_t> values) {
  return {std::move(name), std::move(values)};
}

std::vector<OnnxAttribute> window_attributes(const sim::Window2d& window) {
  const sim::Padding2d& p = window.padding;
  const auto pair = [](const std::array<int64_t, 2>& values) {
    return std::vector<int64_t>(values.begin(), values.end());
  };
  std::vector<OnnxAttribute> attributes{
      onnx_attribute("kernel_shape", pair(window.kernel)),
      onnx_attribute("strides", pair(window.stride)),
      onnx_attribute("pads", std::vector<int64_t>{p.top, p.left, p.bottom, p.right})};
  if (window.dilation != std::array<int64_t, 2>{1, 1}) {
    attributes.push_back(onnx_attribute("dilations", pair(window.dilation)));
  }
  return attributes;
}

void OnnxBuilder::unsupported(const IntNode& node, std::string found, std::string expected,
                              std::string hint) {
  throw Error({ErrorCode::unsupported, fmt::format("node \"{}\" ({})", node.name, node.op),
               std::move(found), std::move(expected), std::move(hint)});
}

OnnxBuilder::OnnxBuilder(const IntGraph& graph, OnnxForm form) : graph_(graph), form_(form) {
  check_tensors();
  opset_ = needed_opset();
  for (const IntTensor& tensor : graph.tensors) names_.insert(tensor.name);
  model_.ir_version = opset_ >= 21 ? 10 : 8;
  model_.producer_name = "facsim";
  model_.opsets.push_back({"", opset_});
  model_.graph.name = graph.name.empty() ? "network" : graph.name;
  if (!graph.profile.empty()) {
    model_.metadata.emplace_back("facsim.profile", graph.profile);
    model_.metadata.emplace_back("facsim.profile_fingerprint", graph.profile_fingerprint);
  }
  for (const int t : graph.inputs) {
    model_.graph.inputs.push_back(value_info(tensor(t)));
    codes_[t] = tensor(t).name;
  }
}

void OnnxBuilder::check_tensors() const {
  for (const IntTensor& t : graph_.tensors) {
    const auto refuse = [&](std::string found, std::string expected) {
      throw Error({ErrorCode::unsupported, fmt::format("tensor \"{}\"", t.name), std::move(found),
                   std::move(expected), "ONNX cannot say it"});
    };
    if (!t.qparams || t.data) continue;
    const quant::QParams& q = *t.qparams;
    type_of(t);
    if (q.per_channel()) refuse("an activation with a scale per channel", "one scale");
    if (q.quant_min != q.type.min() || q.quant_max != q.type.max()) {
      refuse(fmt::format("codes {}..{}", q.quant_min, q.quant_max),
             fmt::format("the whole type, {}..{}", q.type.min(), q.type.max()));
    }
  }
}

int64_t OnnxBuilder::needed_opset() const {
  int64_t opset = 13;
  for (const IntNode& node : graph_.nodes) {
    if (node.op == "hard_swish") opset = std::max<int64_t>(opset, 14);
    if (node.op == "resize") opset = std::max<int64_t>(opset, 18);
  }
  for (const IntTensor& t : graph_.tensors) {
    if (!t.qparams || t.qparams->type.bits == 8 || t.qparams->type.bits == 32) continue;
    opset = std::max<int64_t>(opset, t.qparams->type.bits == 2 ? 25 : 21);
  }
  return opset;
}

OnnxValueInfo OnnxBuilder::value_info(const IntTensor& t) const {
  std::vector<OnnxDim> dims{std::string("N")};
  const std::vector<int64_t> extents = in_file_order(t.shape.extents());
  for (size_t axis = 1; axis < extents.size(); ++axis) dims.emplace_back(extents[axis]);
  return {t.name, type_of(t), std::move(dims)};
}

std::string OnnxBuilder::fresh(std::string name) {
  std::string own = name;
  for (int i = 2; !names_.insert(own).second; ++i) own = fmt::format("{}_{}", name, i);
  return own;
}

std::string OnnxBuilder::add(OnnxNode node, std::string output) {
  if (output.empty()) output = fresh(node.name);
  node.outputs = {output};
  model_.graph.nodes.push_back(std::move(node));
  return output;
}

std::string OnnxBuilder::constant(std::string name, OnnxType type, Tensor values) {
  std::string own = fresh(std::move(name));
  model_.graph.initializers.push_back({own, type, std::move(values)});
  return own;
}

std::string OnnxBuilder::integers(const std::string& name, std::vector<int64_t> values) {
  return constant(name, OnnxType::int64, tensor_of<int64_t>(values, false));
}

std::string OnnxBuilder::codes(int number) {
  const IntTensor& t = tensor(number);
  return t.data ? layer_codes(number, in_file_axes(*t.data)) : codes_.at(number);
}

std::string OnnxBuilder::layer_codes(int number, const Tensor& elements) {
  auto& initializers = model_.graph.initializers;
  std::vector<size_t>& written = constants_[number];
  for (const size_t i : written) {
    if (holds_same_codes(initializers[i].values, elements)) return initializers[i].name;
  }
  IntTensor t = tensor(number);
  t.dtype = elements.dtype();
  const std::string name = written.empty() ? t.name : fresh(t.name + "/layout");
  written.push_back(initializers.size());
  initializers.push_back({name, type_of(t), elements});
  return name;
}

std::string OnnxBuilder::scale(int number) {
  const auto found = scales_.find(number);
  if (found != scales_.end()) return found->second;
  const quant::QParams& q = *tensor(number).qparams;
  return scales_[number] = constant(tensor(number).name + "/scale", OnnxType::float32,
                                    tensor_of<float>(q.scale, !q.per_channel()));
}

std::string OnnxBuilder::zero_point(int number) {
  const auto found = zero_points_.find(number);
  if (found != zero_points_.end()) return found->second;
  const quant::QParams& q = *tensor(number).qparams;
  return zero_points_[number] =
             constant(tensor(number).name + "/zero_point", *onnx_type(q.type),
                      codes_tensor(q.zero_point, q.type.storage(), !q.per_channel()));
}

std::string OnnxBuilder::dequantized(const IntNode& node, const std::string& value, int number,
                                     int axis) {
  OnnxNode dequantize = onnx_node("DequantizeLinear", {value, scale(number), zero_point(number)});
  if (axis >= 0) dequantize.attributes.push_back(onnx_attribute("axis", int64_t{axis}));
  dequantize.name = fmt::format("{}/{}/real", node.name, tensor(number).name);
  return add(std::move(dequantize));
}

OnnxBuilder::CodeBounds OnnxBuilder::code_bounds(const IntNode& node) const {
  const quant::QParams& q = *output(node).qparams;
  quant::TensorSpec spec;
  spec.type = q.type;
  const auto code = [&](float bound) {
    const float bounds[] = {bound};
    return quant::quantize(Tensor::from<float>(Shape{1}, bounds), q, spec).int_at(0);
  };
  CodeBounds bounds{q.type.min(), q.type.max(), false};
  switch (node.attributes.activation) {
    case Activation::none:
      break;
    case Activation::relu:
      bounds.min = code(0);
      break;
    case Activation::relu6:
      bounds = {code(0), code(6), false};
      break;
    case Activation::relu_n1_to_1:
      bounds = {code(-1), code(1), false};
      break;
  }
  bounds.cuts = bounds.min > q.type.min() || bounds.max < q.type.max();
  return bounds;
}

/// True if no code's real value lies outside [low, high] in float32: what ONNX Runtime asks before
/// it drops a Clip in front of QuantizeLinear.
bool OnnxBuilder::clip_is_implied(const IntTensor& t, float low, float high) const {
  const quant::QParams& q = *t.qparams;
  const auto real = [&](int64_t code) {
    return q.scale.front() * static_cast<float>(code - q.zero_point.front());
  };
  return low <= real(q.type.min()) && high >= real(q.type.max());
}

void OnnxBuilder::quantized(const IntNode& node, const std::string& real) {
  const std::string out = codes_output(node);
  quantize(node, real, out);
  finish_codes(node, out);
}

void OnnxBuilder::quantize(const IntNode& node, const std::string& real, const std::string& out) {
  std::string value = real;
  const bool cuts = code_bounds(node).cuts;
  const Activation activation = node.attributes.activation;
  if (!cuts && activation == Activation::relu6 && clip_is_implied(output(node), 0, 6)) {
    const auto bound = [&](const char* name, float v) {
      const float values[] = {v};
      return constant(node.name + name, OnnxType::float32, tensor_of<float>(values, true));
    };
    OnnxNode clip = onnx_node("Clip", {value, bound("/low", 0), bound("/high", 6)});
    clip.name = node.name + "/clip";
    value = add(std::move(clip));
  } else if (!cuts && (activation == Activation::relu || activation == Activation::relu6)) {
    OnnxNode relu = onnx_node("Relu", {value});
    relu.name = node.name + "/relu";
    value = add(std::move(relu));
  }
  OnnxNode quantize =
      onnx_node("QuantizeLinear", {value, scale(node.output), zero_point(node.output)});
  quantize.name = node.name + "/quantize";
  add(std::move(quantize), out);
}

std::string OnnxBuilder::codes_output(const IntNode& node) {
  const std::string& name = output(node).name;
  return code_bounds(node).cuts ? fresh(name + "/unclipped") : name;
}

void OnnxBuilder::finish_codes(const IntNode& node, const std::string& value) {
  codes_[node.output] = output(node).name;
  if (value != output(node).name) clip_codes(node, value);
}

void OnnxBuilder::clip_codes(const IntNode& node, const std::string& value) {
  const CodeBounds bounds = code_bounds(node);
  const quant::QParams& q = *output(node).qparams;
  const OnnxType type = *onnx_type(q.type);
  const auto bound = [&](const char* name, int64_t code) {
    return constant(node.name + name, type, codes_tensor({code}, q.type.storage(), true));
  };
  OnnxNode clip =
      onnx_node("Clip", {value, bound("/lowest", bounds.min), bound("/highest", bounds.max)});
  clip.name = node.name + "/clip";
  codes_[node.output] = output(node).name;
  add(std::move(clip), output(node).name);
}

void OnnxBuilder::real_operator(const IntNode& node, OnnxNode op) {
  std::map<int, std::string> reals;
  for (const int number : node.inputs) {
    if (!reals.contains(number)) reals[number] = dequantized(node, number);
    op.inputs.push_back(reals[number]);
  }
  op.name = node.name;
  quantized(node, add(std::move(op), fresh(output(node).name + "/real")));
}

void OnnxBuilder::code_operator(const IntNode& node, const std::vector<std::string>& values,
                                OnnxNode op) {
  for (const int number : node.inputs) {
    if (tensor(number).qparams != output(node).qparams) {
      unsupported(node, "scales that differ between input and output", "equal scales");
    }
  }
  std::vector<std::string> inputs = values;
  if (form_ == OnnxForm::qdq) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      inputs[i] = dequantized(node, inputs[i], node.inputs[i]);
    }
  }
  op.inputs.insert(op.inputs.begin(), inputs.begin(), inputs.end());
  op.name = node.name;
  if (form_ == OnnxForm::qdq) {
    quantized(node, add(std::move(op), fresh(output(node).name + "/real")));
    return;
  }
  const std::string out = codes_output(node);
  add(std::move(op), out);
  finish_codes(node, out);
}

std::string OnnxBuilder::to_nhwc(const IntNode& node, const std::string& value, int rank) {
  if (rank != 4) return value;
  OnnxNode transpose =
      onnx_node("Transpose", {value}, {onnx_attribute("perm", std::vector<int64_t>{0, 2, 3, 1})});
  transpose.name = node.name + "/nhwc";
  return add(std::move(transpose));
}

void OnnxBuilder::from_nhwc(const IntNode& node, const std::string& value, int rank,
                            std::string output) {
  OnnxNode back = onnx_node("Identity", {value});
  if (rank == 4) {
    back =
        onnx_node("Transpose", {value}, {onnx_attribute("perm", std::vector<int64_t>{0, 3, 1, 2})});
  }
  back.name = node.name + "/nchw";
  add(std::move(back), std::move(output));
}

OnnxModel OnnxBuilder::take() {
  for (const int t : graph_.outputs) {
    if (tensor(t).data ||
        std::find(graph_.inputs.begin(), graph_.inputs.end(), t) != graph_.inputs.end()) {
      throw Error({ErrorCode::unsupported, fmt::format("network output \"{}\"", tensor(t).name),
                   "an input or a constant", "a tensor that a node makes", ""});
    }
    model_.graph.outputs.push_back(value_info(tensor(t)));
  }
  const bool microsoft = std::any_of(model_.graph.nodes.begin(), model_.graph.nodes.end(),
                                     [](const OnnxNode& n) { return n.domain == kMicrosoft; });
  if (microsoft) model_.opsets.push_back({std::string(kMicrosoft), 1});
  return std::move(model_);
}

}  // namespace facsim::backends::detail
