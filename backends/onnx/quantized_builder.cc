// SPDX-License-Identifier: Apache-2.0
// QuantizedBuilder's tensors, nodes and constants; what nodes mean is in quantized_network.cc.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "backends/graph/int_shape.h"
#include "backends/graph/permute.h"
#include "backends/onnx/onnx_check-internal.h"
#include "backends/onnx/quantized-internal.h"

namespace facsim::backends::detail {

void QuantizedBuilder::fail(const OnnxNode& node, std::string found, std::string expected,
                            ErrorCode code) {
  throw Error({code, place_of(node), std::move(found), std::move(expected), ""});
}

void QuantizedBuilder::set(const std::string& name, OnnxValue value) {
  if (!name.empty()) values_.insert_or_assign(name, std::move(value));
}

const OnnxValue& QuantizedBuilder::value(const OnnxNode& node, size_t input) const {
  if (!has_input(node, input)) {
    fail(node, "no input " + std::to_string(input), "", ErrorCode::missing_key);
  }
  return values_.at(node.inputs[input]);
}

int QuantizedBuilder::readers(const std::string& name) const {
  const auto found = readers_.find(name);
  return found == readers_.end() ? 0 : found->second;
}

const OnnxNode* QuantizedBuilder::pad_before(const OnnxNode& node) const {
  const auto found = pads_.find(node.inputs.empty() ? "" : node.inputs[0]);
  return found == pads_.end() ? nullptr : found->second;
}

const OnnxTensor& QuantizedBuilder::constant(const OnnxNode& node, size_t input) const {
  const auto* found = std::get_if<Constant>(&value(node, input));
  if (found == nullptr) {
    refuse(node, "input \"" + node.inputs[input] + "\" is computed", "a constant");
  }
  if (!storage_of(found->tensor->type)) {
    refuse(node, "constant \"" + node.inputs[input] + "\" of " + to_string(found->tensor->type),
           "numbers");
  }
  return *found->tensor;
}

std::optional<std::vector<int64_t>> QuantizedBuilder::integers(const OnnxNode& node,
                                                               size_t input) const {
  if (!has_input(node, input)) return {};
  const OnnxTensor& tensor = constant(node, input);
  if (tensor.type != OnnxType::int64 && tensor.type != OnnxType::int32) {
    fail(node, "\"" + node.inputs[input] + "\" of " + to_string(tensor.type), "int64 or int32");
  }
  check_list_length(node, node.inputs[input], tensor.values.numel());
  std::vector<int64_t> out;
  for (int64_t i = 0; i < tensor.values.numel(); ++i) out.push_back(tensor.values.int_at(i));
  return out;
}

const OnnxTensor& QuantizedBuilder::keep(OnnxTensor tensor) {
  return kept_.emplace_back(std::move(tensor));
}

void QuantizedBuilder::spend(const OnnxNode& node, uint64_t bytes) {
  constexpr uint64_t kMost = uint64_t{1} << 32;
  if (bytes > kMost - spent_) refuse(node, "constants of more than 4 GiB", "a smaller network");
  spent_ += bytes;
}

quant::QParams QuantizedBuilder::qparams(const OnnxNode& node, size_t scale, size_t zero_point,
                                         sim::IntType type, int axis, int64_t extent) const {
  const OnnxTensor& scales = constant(node, scale);
  if (scales.type != OnnxType::float32) {
    refuse(node, "scale \"" + node.inputs[scale] + "\" of " + to_string(scales.type), "float32");
  }
  quant::QParams out;
  out.type = type;
  out.quant_min = type.min();
  out.quant_max = type.max();
  const int64_t count = scales.values.numel();
  const auto values = scales.values.values<float>();
  out.scale.assign(values.begin(), values.end());
  if (scales.values.shape().rank() > 1) {
    refuse(node, "scales of shape " + to_string(scales.values.shape()),
           "one, or one per channel (blocks are not integers of one scale)");
  }
  if (count != 1 && (axis < 0 || count != extent)) {
    fail(node, std::to_string(count) + " scales \"" + node.inputs[scale] + "\"",
         axis < 0 ? "one" : "1 or " + std::to_string(extent), ErrorCode::shape_mismatch);
  }
  if (count != 1) out.channel_axis = axis;
  out.zero_point.assign(static_cast<size_t>(count), 0);
  if (has_input(node, zero_point)) {
    const OnnxTensor& zeros = constant(node, zero_point);
    if (code_type(zeros.type) != type) {
      fail(node, "zero point \"" + node.inputs[zero_point] + "\" of " + to_string(zeros.type),
           sim::to_string(type));
    }
    if (zeros.values.numel() != count) {
      fail(node, std::to_string(zeros.values.numel()) + " zero points", std::to_string(count),
           ErrorCode::shape_mismatch);
    }
    for (size_t i = 0; i < out.zero_point.size(); ++i) {
      out.zero_point[i] = zeros.values.int_at(static_cast<int64_t>(i));
    }
  }
  quant::check(out, place_of(node) + " \"" + node.inputs[scale] + "\"");
  return out;
}

sim::IntType QuantizedBuilder::codes_type(const OnnxNode& node,
                                          const std::variant<Codes, Constant>& codes) const {
  if (const auto* own = std::get_if<Constant>(&codes)) {
    if (const auto type = code_type(own->tensor->type)) return *type;
    refuse(node, "codes \"" + own->tensor->name + "\" of " + to_string(own->tensor->type),
           "integers");
  }
  const IntTensor& t = tensor(std::get<Codes>(codes).tensor);
  return t.qparams ? t.qparams->type : sim::full_range(t.dtype);
}

Shape QuantizedBuilder::shape_of(const std::variant<Codes, Constant>& codes) const {
  if (const auto* own = std::get_if<Constant>(&codes)) return own->tensor->values.shape();
  return onnx_shape(std::get<Codes>(codes).tensor);
}

Shape QuantizedBuilder::onnx_shape(int number) const {
  const Shape& s = tensor(number).shape;
  return s.rank() == 4 ? Shape{s[0], s[3], s[1], s[2]} : s;
}

std::variant<Codes, Constant> QuantizedBuilder::codes(const OnnxNode& node, size_t input) const {
  const OnnxValue& found = value(node, input);
  if (const auto* own = std::get_if<Codes>(&found)) return *own;
  if (std::holds_alternative<Constant>(found)) return Constant{&constant(node, input)};
  refuse(node, "input \"" + node.inputs[input] + "\" is real", "codes");
}

QuantizedOperand QuantizedBuilder::operand(const OnnxNode& node, size_t x, int axis) const {
  QuantizedOperand out;
  out.codes = codes(node, x);
  const Shape shape = shape_of(out.codes);
  if (axis >= shape.rank()) axis = -1;
  out.qparams =
      qparams(node, x + 1, x + 2, codes_type(node, out.codes), axis, axis < 0 ? 1 : shape[axis]);
  return out;
}

int QuantizedBuilder::inner_axis(int onnx_axis, int rank) {
  constexpr std::array<int, 4> kInner{0, 3, 1, 2};
  return rank == 4 && onnx_axis >= 0 ? kInner[static_cast<size_t>(onnx_axis)] : onnx_axis;
}

Shape QuantizedBuilder::inner_shape(const Shape& onnx) {
  return onnx.rank() == 4 ? Shape{onnx[0], onnx[2], onnx[3], onnx[1]} : onnx;
}

Tensor QuantizedBuilder::inner_data(const Tensor& onnx) {
  return onnx.shape().rank() == 4 ? permuted(onnx, kNchwToNhwc) : onnx;
}

int QuantizedBuilder::tensor_of(const OnnxNode& node, const QuantizedOperand& operand) {
  if (const auto* own = std::get_if<Codes>(&operand.codes)) {
    return bound(node, own->tensor, operand.qparams);
  }
  const OnnxTensor& tensor = *std::get<Constant>(operand.codes).tensor;
  quant::QParams qparams = operand.qparams;
  qparams.channel_axis = inner_axis(qparams.channel_axis, tensor.values.shape().rank());
  return add_constant(node, tensor, Form::activation, qparams,
                      [&] { return inner_data(tensor.values); });
}

int QuantizedBuilder::bound(const OnnxNode& node, int number, const quant::QParams& qparams) {
  quant::QParams inner = qparams;
  inner.channel_axis = inner_axis(qparams.channel_axis, tensor(number).shape.rank());
  if (!tensor(number).qparams) {
    set_qparams(number, inner);
    return number;
  }
  if (*tensor(number).qparams == inner) return number;
  const quant::QParams own = *tensor(number).qparams;
  if (own.per_channel() || inner.per_channel() || own.type != inner.type || own.type.bits > 8) {
    refuse(node, "codes \"" + tensor(number).name + "\" with two sets of scales or zero points",
           "one");
  }
  // The same codes with another meaning.
  NodeAttributes attributes;
  for (int64_t code = own.type.min(); code <= own.type.max(); ++code) {
    attributes.table.push_back(code);
  }
  return add(node, "lut", {number}, attributes, tensor(number).name + "/reread", inner);
}

bool QuantizedBuilder::expect_zero_point(const OnnxNode& pad, int number, int64_t code) {
  const auto& qparams = tensor(number).qparams;
  if (!qparams) {
    expected_zero_points_.push_back({&pad, number, code});
    return true;
  }
  return std::all_of(qparams->zero_point.begin(), qparams->zero_point.end(),
                     [&](int64_t zero_point) { return zero_point == code; });
}

void QuantizedBuilder::check_expected_zero_points() {
  for (const auto& [pad, number, code] : std::exchange(expected_zero_points_, {})) {
    try {
      if (!expect_zero_point(*pad, number, code)) refuse_padding(*pad);
    } catch (const Error& error) {
      add_findings(error);
    }
  }
}

void QuantizedBuilder::set_qparams(int number, const quant::QParams& qparams) {
  std::vector<int> open{number};
  while (!open.empty()) {
    const int next = open.back();
    open.pop_back();
    IntTensor& t = graph_.tensors[static_cast<size_t>(next)];
    if (t.qparams) continue;
    t.qparams = qparams;
    const auto& linked = moved_[static_cast<size_t>(next)];
    open.insert(open.end(), linked.begin(), linked.end());
  }
}

namespace {

std::string unique_name(std::unordered_map<std::string, int>& taken, const std::string& wanted) {
  const auto [entry, is_new] = taken.emplace(wanted, 1);
  if (is_new) return wanted;
  for (;;) {
    std::string name = wanted + "_" + std::to_string(taken.at(wanted)++);
    if (taken.emplace(name, 1).second) return name;
  }
}

}  // namespace

std::string QuantizedBuilder::unique_tensor_name(const std::string& wanted) {
  return unique_name(tensor_names_, wanted.empty() ? "tensor" : wanted);
}

std::string QuantizedBuilder::unique_node_name(const std::string& wanted) {
  return unique_name(node_names_, wanted);
}

int QuantizedBuilder::add_tensor(IntTensor tensor) {
  tensor.name = unique_tensor_name(tensor.name);
  graph_.tensors.push_back(std::move(tensor));
  moved_.emplace_back();
  return static_cast<int>(graph_.tensors.size()) - 1;
}

int QuantizedBuilder::keep_constant(const OnnxNode& node, const OnnxTensor& tensor, Form form,
                                    const quant::QParams& qparams, Tensor data) {
  spend(node, data.bytes() + qparams.scale.size() * (sizeof(float) + sizeof(int64_t)));
  IntTensor constant;
  constant.name = tensor.name;
  constant.dtype = data.dtype();
  constant.shape = data.shape();
  constant.qparams = qparams;
  constant.data = std::move(data);
  const int number = add_tensor(std::move(constant));
  constants_[&tensor].push_back({form, qparams, number});
  return number;
}

int QuantizedBuilder::add(const OnnxNode& source, std::string op, std::vector<int> inputs,
                          NodeAttributes attributes, const std::string& output,
                          const std::optional<quant::QParams>& qparams) {
  IntNode node;
  node.op = std::move(op);
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  // Errors of the shape rules name the file's node.
  node.name = source.name.empty() ? output : source.name;
  IntTensor tensor;
  tensor.name = output;
  try {
    tensor.shape = int_output_shape(graph_, node);
  } catch (const Error& error) {
    const ErrorInfo& info = error.infos().front();
    throw Error({info.code, place_of(source), info.found, info.expected, info.hint});
  }
  node.name = unique_node_name(node.name);
  if (node.op == "dequantize") {
    tensor.dtype = DType::float32;
  } else if (qparams) {
    tensor.qparams = qparams;
    tensor.dtype = qparams->type.storage();
  } else {
    const IntTensor& input = graph_.tensors[static_cast<size_t>(node.inputs[0])];
    tensor.qparams = input.qparams;
    tensor.dtype = input.dtype;
  }
  node.output = add_tensor(std::move(tensor));
  graph_.nodes.push_back(std::move(node));
  return graph_.nodes.back().output;
}

int QuantizedBuilder::add_move(const OnnxNode& source, std::string op, int input,
                               NodeAttributes attributes, const std::string& output) {
  const int made = add(source, std::move(op), {input}, std::move(attributes), output, {});
  moved_[static_cast<size_t>(input)].push_back(made);
  moved_[static_cast<size_t>(made)].push_back(input);
  return made;
}

}  // namespace facsim::backends::detail
