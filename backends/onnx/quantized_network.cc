// SPDX-License-Identifier: Apache-2.0
// What the nodes of a quantized ONNX network mean; groups of them that are one op on codes are in
// quantized_groups.cc (README.md beside this file, with ONNX Runtime's sources).
#include "backends/onnx/quantized_network.h"

#include <algorithm>

#include "backends/onnx/onnx_check-internal.h"
#include "backends/onnx/quantized-internal.h"
#include "quant/tensor_spec.h"

namespace facsim::backends {

namespace detail {

namespace {

constexpr std::string_view kOrtDomain = "com.microsoft";

bool is_quantize(const OnnxNode& node) {
  return node.op_type == "QuantizeLinear" && (node.domain.empty() || node.domain == kOrtDomain);
}

bool is_dequantize(const OnnxNode& node) {
  return node.op_type == "DequantizeLinear" && (node.domain.empty() || node.domain == kOrtDomain);
}

}  // namespace

IntGraph QuantizedBuilder::build() {
  graph_.name = model_.graph.name;
  graph_.layout = IntGraph::Layout::nchw;
  for (const OnnxNode& node : model_.graph.nodes) {
    for (const std::string& input : node.inputs) ++readers_[input];
    if (node.domain.empty() && node.op_type == "Pad" && !node.outputs.empty()) {
      pads_[node.outputs[0]] = &node;
    }
  }
  for (const OnnxValueInfo& output : model_.graph.outputs) ++readers_[output.name];
  for (const OnnxTensor& tensor : model_.graph.initializers) set(tensor.name, Constant{&tensor});
  read_inputs();
  for (const OnnxNode& node : model_.graph.nodes) read_node(node);
  read_outputs();
  check_expected_zero_points();
  if (!findings_.empty()) throw_findings(std::move(findings_));
  for (const IntTensor& t : graph_.tensors) {
    if (t.dtype != DType::float32 && !t.qparams) {
      throw Error({ErrorCode::unsupported, "tensor \"" + t.name + "\"",
                   "codes that no op reads with a scale", "a quantized op behind them", ""});
    }
  }
  check(graph_);
  return std::move(graph_);
}

void QuantizedBuilder::read_inputs() {
  for (const OnnxValueInfo& info : model_.graph.inputs) {
    if (!values_.contains(info.name)) read_input(info);
  }
  if (graph_.inputs.empty()) {
    throw Error({ErrorCode::bad_value, "network", "no inputs", "at least one", ""});
  }
}

void QuantizedBuilder::read_input(const OnnxValueInfo& info) {
  const std::string where = "input \"" + info.name + "\"";
  const auto storage = storage_of(info.type);
  const bool is_real = info.type == OnnxType::float32;
  const bool is_code = storage && code_type(info.type) && code_type(info.type)->bits <= 16;
  if (!is_real && !is_code) {
    throw Error({ErrorCode::unsupported, where, to_string(info.type),
                 "float32, or codes of up to 16 bits", ""});
  }
  const auto given = options_.shapes.find(info.name);
  std::vector<OnnxDim> dims;
  if (given != options_.shapes.end()) {
    dims.assign(given->second.begin(), given->second.end());
    if (info.dims && info.dims->size() != dims.size()) {
      throw Error({ErrorCode::shape_mismatch, where, std::to_string(dims.size()) + " extents given",
                   std::to_string(info.dims->size()), ""});
    }
  } else if (info.dims) {
    dims = *info.dims;
  } else {
    throw Error({ErrorCode::bad_value, where, "no shape", "", "export it with a shape"});
  }
  constexpr size_t kMostAxes = 8;
  if (dims.empty() || dims.size() > kMostAxes) {
    throw Error({ErrorCode::unsupported, where,
                 dims.empty() ? "a scalar" : "rank " + std::to_string(dims.size()),
                 "1 to 8 axes, the batch first", ""});
  }
  IntTensor tensor;
  tensor.name = info.name;
  tensor.dtype = *storage;
  std::vector<int64_t> extents{1};
  if (const auto* batch = std::get_if<int64_t>(&dims[0])) {
    if (*batch < 1) throw Error({ErrorCode::bad_value, where, "batch 0", "at least 1", ""});
    file_batch_ = std::max(file_batch_, *batch);
  }
  for (size_t axis = 1; axis < dims.size(); ++axis) {
    if (const auto* extent = std::get_if<int64_t>(&dims[axis])) {
      extents.push_back(*extent);
    } else {
      const std::string& name = std::get<std::string>(dims[axis]);
      const auto own = options_.dims.find(name);
      if (own == options_.dims.end() || name.empty()) {
        throw Error({ErrorCode::bad_value, where,
                     name.empty() ? "axis " + std::to_string(axis) + " without an extent"
                                  : "symbolic dimension \"" + name + "\"",
                     "an extent",
                     name.empty() ? "export it with a fixed size" : "give --dim " + name + "=N"});
      }
      extents.push_back(own->second);
    }
    if (extents.back() < 1) {
      throw Error({ErrorCode::bad_value, where, "extent " + std::to_string(extents.back()),
                   "at least 1", ""});
    }
  }
  tensor.shape = inner_shape(Shape(std::move(extents)));
  tensor.shape.numel();  // bounded, or Error
  const int number = add_tensor(std::move(tensor));
  graph_.inputs.push_back(number);
  set(info.name, is_real ? OnnxValue(FloatInput{number}) : OnnxValue(Codes{number}));
}

void QuantizedBuilder::add_findings(const Error& error) {
  findings_.insert(findings_.end(), error.infos().begin(), error.infos().end());
}

void QuantizedBuilder::read_node(const OnnxNode& node) {
  for (const std::string& input : node.inputs) {
    if (!input.empty() && std::holds_alternative<Refused>(values_.at(input))) {
      for (const std::string& output : node.outputs) set(output, Refused{});
      return;
    }
  }
  depth_ = 0;
  try {
    dispatch(node);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) throw;
    add_findings(error);
    for (const std::string& output : node.outputs) set(output, Refused{});
  }
  // Outputs that an op does not have here.
  for (const std::string& output : node.outputs) {
    if (output.empty() || values_.contains(output)) continue;
    set(output, Refused{});
    if (readers(output) == 0) continue;
    findings_.push_back({ErrorCode::unsupported, place_of(node), "output \"" + output + "\"",
                         "the op's first output only", ""});
  }
}

void QuantizedBuilder::dispatch(const OnnxNode& node) {
  if (node.outputs.empty()) return;
  const std::string& output = node.outputs[0];
  if (is_dequantize(node)) return dequantize(node);
  if (is_quantize(node)) return quantize(node);
  if (node.domain.empty() && node.op_type == "Constant") {
    const OnnxAttribute* value = find_attribute(node, "value");
    const auto* tensor = value == nullptr ? nullptr : std::get_if<OnnxTensor>(&value->value);
    if (tensor == nullptr) refuse(node, "a constant that is no tensor", "attribute value");
    OnnxTensor named = *tensor;
    named.name = output;
    return set(output, Constant{&keep(std::move(named))});
  }
  if (node.domain.empty() && (node.op_type == "Dropout" || node.op_type == "Identity")) {
    const OnnxValue same = value(node, 0);
    // A float result that others read too is not the reader's own.
    const bool shared = std::holds_alternative<Pending>(same) && readers(node.inputs[0]) != 1;
    return set(output, shared ? OnnxValue(Pending{&node}) : same);
  }
  if (node.domain.empty() && node.op_type == "Split") return split(node);

  const OnnxValue& first = value(node, 0);
  if (is_move(node)) {
    if (const auto* codes = std::get_if<Codes>(&first)) {
      return set(output, Codes{emit_move(*this, node, codes->tensor, output)});
    }
    if (const auto* own = std::get_if<Constant>(&first)) {
      if (auto moved = moved_constant(*this, node, *own->tensor)) {
        return set(output, Constant{&keep(std::move(*moved))});
      }
      refuse(node, "a computed constant");
    }
    if (const auto* reals = std::get_if<Dequantized>(&first)) {
      return set(output,
                 moved(node, *reals, [&](int x) { return emit_move(*this, node, x, output); }));
    }
    return set(output, Pending{&node});
  }
  if (is_clip(node) && std::holds_alternative<Codes>(first)) {
    return set(output, Codes{emit_code_clip(*this, node, std::get<Codes>(first).tensor, output)});
  }
  if (is_clip(node) || is_group_op(node)) {
    const bool has_reals = !std::holds_alternative<Codes>(first);
    if (has_reals) return set(output, Pending{&node});
    if (node.op_type == "Concat") {
      // Codes of one scale.
      std::vector<QuantizedOperand> inputs;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const auto own = codes(node, i);
        const auto* number = std::get_if<Codes>(&own);
        if (number == nullptr || !tensor(number->tensor).qparams) {
          refuse(node, "codes whose scale is not known yet", "codes of a quantized op");
        }
        inputs.push_back({own, *tensor(number->tensor).qparams});
        if (inputs.back().qparams != inputs.front().qparams) {
          refuse(node, "codes of different scales", "the same, or QLinearConcat");
        }
      }
      const quant::QParams qparams = inputs.front().qparams;
      return set(output, Codes{emit_concat(*this, node, inputs, {output, qparams})});
    }
    refuse(node, "codes where the op takes reals", "a quantized op");
  }

  const auto result = [&](size_t scale) {
    const OnnxTensor& zeros = constant(node, scale + 1);
    const auto type = code_type(zeros.type);
    if (!type) fail(node, "zero point of " + to_string(zeros.type), "integers");
    return QuantizedResult{output, qparams(node, scale, scale + 1, *type, -1, 1)};
  };
  const auto bias = [&](size_t input) -> const OnnxTensor* {
    if (!has_input(node, input)) return nullptr;
    const OnnxTensor& tensor = constant(node, input);
    if (tensor.type != OnnxType::int32) {
      fail(node, "a bias of " + to_string(tensor.type), "int32");
    }
    return &tensor;
  };
  const bool own = node.domain.empty(), microsoft = node.domain == kOrtDomain;
  const std::string& op = node.op_type;
  if (own && op == "QLinearConv") {
    const int made =
        emit_conv(*this, node, operand(node, 0), operand(node, 3, 0), bias(8), result(6));
    return set(output, Codes{made});
  }
  if ((own || microsoft) && op == "QLinearMatMul") {
    return set(output,
               Codes{emit_matmul(*this, node, operand(node, 0), operand(node, 3, 1), result(6))});
  }
  if (microsoft && op == "QGemm") {
    if (!has_input(node, 7)) refuse(node, "a float result", "inputs y_scale and y_zero_point");
    return set(output,
               Codes{emit_gemm(*this, node, operand(node, 0),
                               operand(node, 3, gemm_channel_axis(node)), bias(6), result(7))});
  }
  if (microsoft && (op == "QLinearAdd" || op == "QLinearMul")) {
    return set(output, Codes{emit_binary(*this, node, op == "QLinearAdd" ? "add" : "mul",
                                         operand(node, 0), operand(node, 3), result(6))});
  }
  if (microsoft && op == "QLinearConcat") {
    if (node.inputs.size() < 5 || (node.inputs.size() - 2) % 3 != 0) {
      fail(node, std::to_string(node.inputs.size()) + " inputs", "2 and 3 for each tensor");
    }
    std::vector<QuantizedOperand> inputs;
    for (size_t i = 2; i < node.inputs.size(); i += 3) inputs.push_back(operand(node, i));
    return set(output, Codes{emit_concat(*this, node, inputs, result(0))});
  }
  if (microsoft && (op == "QLinearAveragePool" || op == "QLinearGlobalAveragePool" ||
                    op == "QLinearLeakyRelu" || op == "QLinearSigmoid" || op == "QLinearSoftmax")) {
    return set(output, Codes{emit_unary(*this, node, operand(node, 0), result(3))});
  }
  const std::string domain = own ? "" : " of domain \"" + node.domain + "\"";
  if (own || microsoft) {
    // A float op: its node is named where its result is needed.
    const bool reads_reals =
        std::none_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
          return !input.empty() && std::holds_alternative<Codes>(values_.at(input));
        });
    if (reads_reals && !op.starts_with("QLinear")) {
      for (const std::string& made : node.outputs) set(made, Pending{&node});
      return;
    }
  }
  refuse(node, "op " + op + domain, "an op of README.md in backends/onnx");
}

template <class Emit>
Dequantized QuantizedBuilder::moved(const OnnxNode& node, const Dequantized& reals,
                                    const Emit& emit) {
  if (reals.qparams.per_channel()) refuse(node, "reals with a scale per channel", "one scale");
  Dequantized out = reals;
  if (!is_transparent(node, opset())) out.behind = place_of(node);
  if (const auto* own = std::get_if<Constant>(&reals.codes)) {
    auto constant = moved_constant(*this, node, *own->tensor);
    if (!constant) refuse(node, "a computed constant");
    out.codes = Constant{&keep(std::move(*constant))};
    return out;
  }
  const int x = bound(node, std::get<Codes>(reals.codes).tensor, reals.qparams);
  const int made = emit(x);
  if (made != x) provisional_.insert(made);
  out.codes = Codes{made};
  return out;
}

void QuantizedBuilder::split(const OnnxNode& node) {
  const OnnxValue first = value(node, 0);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const std::string& output = node.outputs[i];
    if (output.empty()) continue;
    const auto emit = [&](int x) { return emit_split(*this, node, x, i, output); };
    if (const auto* codes = std::get_if<Codes>(&first)) {
      set(output, Codes{emit(codes->tensor)});
    } else if (const auto* reals = std::get_if<Dequantized>(&first)) {
      set(output, moved(node, *reals, emit));
    } else {
      refuse(node, "a split of \"" + node.inputs[0] + "\"", "codes, or reals of codes");
    }
  }
}

void QuantizedBuilder::dequantize(const OnnxNode& node) {
  if (integer_attribute(node, "block_size", 0) != 0) {
    refuse(node, "block_size", "0: integers of one scale");
  }
  const OnnxValue& input = value(node, 0);
  if (!std::holds_alternative<Codes>(input) && !std::holds_alternative<Constant>(input)) {
    fail(node, "input \"" + node.inputs[0] + "\" is real", "codes");
  }
  Dequantized reals;
  reals.codes = codes(node, 0);
  const Shape shape = shape_of(reals.codes);
  const int64_t given = integer_attribute(node, "axis", 1);
  const int64_t axis = given < 0 ? given + shape.rank() : given;
  const bool has_axis = axis >= 0 && axis < shape.rank();
  if (!has_axis && constant(node, 1).values.numel() != 1) {
    fail(node, "axis " + std::to_string(given), "an axis of " + to_string(shape));
  }
  reals.qparams =
      qparams(node, 1, 2, codes_type(node, reals.codes), has_axis ? static_cast<int>(axis) : -1,
              has_axis ? shape[static_cast<int>(axis)] : 1);
  set(node.outputs[0], std::move(reals));
}

void QuantizedBuilder::refuse_float(const std::string& name, const std::string& reason) {
  std::vector<std::pair<std::string, std::string>> open{{name, reason}};
  while (!open.empty()) {
    const auto [next, why] = std::move(open.back());
    open.pop_back();
    const auto* pending = std::get_if<Pending>(&values_.at(next));
    if (pending == nullptr || !refused_.insert(next).second) continue;
    const OnnxNode& node = *pending->node;
    const bool known = is_group_op(node) || is_clip(node) || is_move(node);
    findings_.push_back({ErrorCode::unsupported, place_of(node),
                         known ? "stays in float in ONNX Runtime" + (why.empty() ? "" : ": " + why)
                               : "float op " + node.op_type + " has no rule on codes",
                         "", ""});
    for (const std::string& input : node.inputs) {
      if (!input.empty()) open.emplace_back(input, "no QuantizeLinear reads its result");
    }
  }
}

void QuantizedBuilder::name_output(int number, const std::string& name) {
  if (!provisional_.contains(number) || tensor_names_.contains(name)) return;
  provisional_.erase(number);
  tensor_names_.emplace(name, 1);
  graph_.tensors[static_cast<size_t>(number)].name = name;
}

void QuantizedBuilder::read_outputs() {
  if (model_.graph.outputs.empty()) {
    throw Error({ErrorCode::bad_value, "network", "no outputs", "at least one", ""});
  }
  for (const OnnxValueInfo& output : model_.graph.outputs) {
    try {
      read_output(output.name);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unsupported) throw;
      add_findings(error);
    }
  }
}

void QuantizedBuilder::read_output(const std::string& name) {
  const OnnxValue& found = values_.at(name);
  OnnxNode source;
  source.op_type = "output";
  source.outputs = {name};
  if (std::holds_alternative<Refused>(found)) return;
  if (std::holds_alternative<Pending>(found)) {
    return refuse_float(name, "no QuantizeLinear reads its result");
  }
  int number = -1;
  if (const auto* codes = std::get_if<Codes>(&found)) {
    number = codes->tensor;
    name_output(number, name);
    const bool taken = std::count(graph_.inputs.begin(), graph_.inputs.end(), number) > 0 ||
                       std::count(graph_.outputs.begin(), graph_.outputs.end(), number) > 0;
    if (taken || tensor(number).name != name) {
      // An output of its own name.
      NodeAttributes view;
      const Shape& shape = tensor(number).shape;
      view.extents.assign(shape.begin() + 1, shape.end());
      number = add_move(source, "reshape", number, std::move(view), name);
    }
  } else if (const auto* reals = std::get_if<Dequantized>(&found)) {
    const auto* own = std::get_if<Codes>(&reals->codes);
    if (own == nullptr) refuse(source, "a constant output", "a computed one");
    const int x = bound(source, own->tensor, reals->qparams);
    if (tensor(x).name == name) {
      // The move that made it took the name of the reals.
      graph_.tensors[static_cast<size_t>(x)].name = unique_tensor_name(name + "/codes");
      tensor_names_.erase(name);
    }
    number = add(source, "dequantize", {x}, {}, name, {});
  } else {
    refuse(source, "an output that is an input or a constant", "a computed one");
  }
  graph_.outputs.push_back(number);
}

}  // namespace detail

IntGraph quantized_network(const OnnxModel& model, const QuantizedNetworkOptions& options) {
  return detail::QuantizedBuilder(model, options).build();
}

}  // namespace facsim::backends
