// SPDX-License-Identifier: Apache-2.0
// What the nodes of a quantized ONNX network mean, and which groups of them are one op on codes
// (README.md beside this file, with ONNX Runtime's sources).
#include "backends/onnx/quantized_network.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "backends/onnx/onnx_check-internal.h"
#include "backends/onnx/quantized-internal.h"
#include "quant/tensor_spec.h"

namespace facsim::backends {

namespace detail {

namespace {

constexpr std::string_view kOrtDomain = "com.microsoft";

bool is_clip(const OnnxNode& node) {
  return node.domain.empty() && (node.op_type == "Relu" || node.op_type == "Clip");
}

/// Float ops of which ONNX Runtime fuses DequantizeLinear-op-QuantizeLinear into one op on codes.
bool is_group_op(const OnnxNode& node) {
  static constexpr std::array<std::string_view, 11> kOps{
      "Conv",        "Gemm",      "MatMul",
      "Add",         "Mul",       "Concat",
      "AveragePool", "LeakyRelu", "GlobalAveragePool",
      "Sigmoid",     "Softmax"};
  return node.domain.empty() && std::find(kOps.begin(), kOps.end(), node.op_type) != kOps.end();
}

bool is_quantize(const OnnxNode& node) {
  return node.op_type == "QuantizeLinear" && (node.domain.empty() || node.domain == kOrtDomain);
}

bool is_dequantize(const OnnxNode& node) {
  return node.op_type == "DequantizeLinear" && (node.domain.empty() || node.domain == kOrtDomain);
}

/// Whether QuantizeLinear's own range makes Relu or Clip do nothing: ONNX Runtime qdq_util.cc
/// IsClipMadeRedundantByQ, or clip_quantizelinear.cc.
bool is_redundant(const ClipBounds& bounds, const quant::QParams& q) {
  if (q.per_channel()) return false;
  const float scale = q.scale.front();
  const auto zero = static_cast<double>(q.zero_point.front());
  const auto low = static_cast<double>(q.type.min()), high = static_cast<double>(q.type.max());
  const auto nearest = [](float real) { return sim::round_real(sim::Rounding::half_even, real); };
  if (nearest(bounds.min / scale) + zero <= low && nearest(bounds.max / scale) + zero >= high) {
    return true;
  }
  constexpr float kEpsilon = std::numeric_limits<float>::epsilon();
  const float lower = scale * static_cast<float>(q.type.min() - q.zero_point.front());
  const float upper = scale * static_cast<float>(q.type.max() - q.zero_point.front());
  return !(kEpsilon < bounds.min - lower) && !(kEpsilon < upper - bounds.max);
}

/// Relu and Clip(0, 6), Clip(-1, 1) as fused activations.
std::optional<Activation> activation_of(const ClipBounds& bounds) {
  if (bounds.min == 0 && std::isinf(bounds.max)) return Activation::relu;
  if (bounds.min == 0 && bounds.max == 6) return Activation::relu6;
  if (bounds.min == -1 && bounds.max == 1) return Activation::relu_n1_to_1;
  return {};
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

void QuantizedBuilder::quantize(const OnnxNode& node) {
  value(node, 0);  // or Error
  if (integer_attribute(node, "block_size", 0) != 0) {
    refuse(node, "block_size", "0: integers of one scale");
  }
  sim::IntType type{8, false};
  if (const int64_t wanted = integer_attribute(node, "output_dtype", 0); wanted != 0) {
    const auto own =
        wanted > 0 && wanted < 100 ? code_type(static_cast<OnnxType>(wanted)) : std::nullopt;
    if (!own) refuse(node, "output_dtype " + std::to_string(wanted), "integers");
    type = *own;
  }
  if (has_input(node, 2)) {
    const OnnxTensor& zeros = constant(node, 2);
    const auto own = code_type(zeros.type);
    if (!own) refuse(node, "zero point of " + to_string(zeros.type), "integers");
    type = *own;
  }
  if (type.bits > 16) fail(node, "codes of " + sim::to_string(type), "up to 16 bits");
  const OnnxTensor& scales = constant(node, 1);
  QuantizedResult result;
  result.name = node.outputs[0];
  if (scales.values.numel() == 1) {
    result.qparams = qparams(node, 1, 2, type, -1, 1);
  } else {
    // Only constants and inputs have a shape before they are quantized.
    const OnnxValue& input = value(node, 0);
    Shape shape;
    if (const auto* own = std::get_if<Constant>(&input)) {
      shape = own->tensor->values.shape();
    } else if (const auto* real = std::get_if<FloatInput>(&input)) {
      shape = onnx_shape(real->tensor);
    } else {
      refuse(node, "an activation with a scale per channel", "one scale");
    }
    int64_t axis = integer_attribute(node, "axis", 1);
    if (axis < 0) axis += shape.rank();
    if (axis < 0 || axis >= shape.rank()) fail(node, "axis", "an axis of " + to_string(shape));
    result.qparams =
        qparams(node, 1, 2, type, static_cast<int>(axis), shape[static_cast<int>(axis)]);
  }
  set(result.name, quantized(node, node.inputs[0], result));
}

OnnxValue QuantizedBuilder::quantized(const OnnxNode& reader, const std::string& name,
                                      const QuantizedResult& result) {
  const OnnxValue& reals = values_.at(name);
  if (const auto* input = std::get_if<FloatInput>(&reals)) {
    quant::QParams inner = result.qparams;
    inner.channel_axis = inner_axis(inner.channel_axis, tensor(input->tensor).shape.rank());
    return Codes{add(reader, "quantize", {input->tensor}, {}, result.name, inner)};
  }
  if (const auto* constant = std::get_if<Constant>(&reals)) {
    if (constant->tensor->type != OnnxType::float32) {
      fail(reader, "\"" + name + "\" of " + to_string(constant->tensor->type), "float32");
    }
    quant::TensorSpec spec;
    spec.type = result.qparams.type;
    spend(reader, constant->tensor->values.bytes());
    OnnxTensor codes;
    codes.name = result.name;
    codes.type = *onnx_type(result.qparams.type);
    codes.values = quant::quantize(constant->tensor->values, result.qparams, spec);
    return Constant{&keep(std::move(codes))};
  }
  if (const auto* own = std::get_if<Dequantized>(&reals)) return requantized(reader, *own, result);
  if (const auto* pending = std::get_if<Pending>(&reals)) {
    if (readers(name) != 1) {
      refuse_float(name, "its float result has several readers");
      return Refused{};
    }
    constexpr int kMostBetween = 256;
    if (depth_ == kMostBetween) {
      refuse(reader, "more than 256 ops between a float value and QuantizeLinear");
    }
    ++depth_;
    OnnxValue made = quantized_node(*pending->node, result);
    --depth_;
    return made;
  }
  fail(reader, "\"" + name + "\" holds codes already", "reals");
}

OnnxValue QuantizedBuilder::requantized(const OnnxNode& reader, const Dequantized& reals,
                                        const QuantizedResult& result) {
  if (const auto* constant = std::get_if<Constant>(&reals.codes)) {
    if (reals.qparams == result.qparams) {
      return Constant{constant->tensor};
    }
    refuse(reader, "a constant with another scale than its DequantizeLinear", "the same");
  }
  const int codes = bound(reader, std::get<Codes>(reals.codes).tensor, reals.qparams);
  if (reals.qparams == result.qparams) {
    name_output(codes, result.name);
    return Codes{codes};
  }
  const int real = add(reader, "dequantize", {codes}, {}, result.name + "/real", {});
  return Codes{add(reader, "quantize", {real}, {}, result.name, result.qparams)};
}

OnnxValue QuantizedBuilder::quantized_node(const OnnxNode& node, QuantizedResult result) {
  if (is_clip(node)) return quantized_activation(node, std::move(result));
  if (is_move(node)) {
    // Quantized first, then moved: the same codes.
    const bool over = options_.groups == QdqGroups::every || is_transparent(node, opset()) ||
                      std::holds_alternative<FloatInput>(values_.at(node.inputs[0]));
    if (!over) {
      refuse_float(node.outputs[0], "ONNX Runtime does not move QuantizeLinear over it");
      return Refused{};
    }
    const std::string name = result.name;
    result.name += "/unmoved";
    const OnnxValue before = quantized(node, node.inputs[0], result);
    const auto* codes = std::get_if<Codes>(&before);
    if (codes == nullptr) return before;
    return Codes{emit_move(*this, node, codes->tensor, name)};
  }
  if (is_group_op(node)) return quantized_group(node, result);
  refuse_float(node.outputs[0], "");
  return Refused{};
}

OnnxValue QuantizedBuilder::quantized_activation(const OnnxNode& node, QuantizedResult result) {
  const std::string& source = node.inputs.at(0);
  const OnnxValue& before = values_.at(source);
  if (const auto* own = std::get_if<Dequantized>(&before)) {
    // Float in ONNX Runtime, on every code the same: a table.
    return Codes{emit_clip_table(*this, node, {own->codes, own->qparams}, result)};
  }
  const ClipBounds bounds = clip_bounds(*this, node);
  if (is_redundant(bounds, result.qparams)) return quantized(node, source, result);
  const auto fused = activation_of(bounds);
  if (options_.groups == QdqGroups::every && fused && result.activation == Activation::none) {
    result.activation = *fused;
    return quantized(node, source, result);
  }
  refuse_float(node.outputs[0], "the range of QuantizeLinear (zero point " +
                                    std::to_string(result.qparams.zero_point.front()) +
                                    ") does not replace it");
  return Refused{};
}

bool QuantizedBuilder::pads_within(const OnnxNode& conv, const Dequantized& input) const {
  const OnnxNode* pad = pad_before(conv);
  if (pad == nullptr || conv.op_type != "Conv" || input.behind != place_of(*pad)) return false;
  const auto* before = std::get_if<Dequantized>(&values_.at(pad->inputs.at(0)));
  if (before == nullptr || !before->behind.empty() || readers(conv.inputs[0]) != 1 ||
      string_attribute(conv, "auto_pad", "NOTSET") != "NOTSET") {
    return false;
  }
  const int rank = shape_of(input.codes).rank();
  const std::vector<int64_t> pads = pads_of(*this, *pad, rank);
  const auto half = static_cast<size_t>(rank);
  return rank >= 2 && pads[0] == 0 && pads[1] == 0 && pads[half] == 0 && pads[half + 1] == 0;
}

OnnxValue QuantizedBuilder::quantized_group(const OnnxNode& node, const QuantizedResult& result) {
  const std::string& op = node.op_type;
  const bool every = options_.groups == QdqGroups::every;
  const auto stays_float = [&](const std::string& reason) -> OnnxValue {
    refuse_float(node.outputs[0], reason);
    return Refused{};
  };
  std::vector<QuantizedOperand> operands;
  const OnnxTensor* float_bias = nullptr;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i].empty()) continue;
    const OnnxValue& input = values_.at(node.inputs[i]);
    if (const auto* own = std::get_if<Dequantized>(&input)) {
      if (!own->behind.empty() && !every && !(i == 0 && pads_within(node, *own))) {
        return stays_float("ONNX Runtime does not move DequantizeLinear over " + own->behind);
      }
      operands.push_back({own->codes, own->qparams});
      continue;
    }
    const auto* constant = std::get_if<Constant>(&input);
    if (constant != nullptr && i == 2 && (op == "Conv" || op == "Gemm")) {
      float_bias = constant->tensor;
      continue;
    }
    if (constant != nullptr && i == 1 && (op == "Conv" || op == "Gemm")) {
      refuse(node, "real weights \"" + node.inputs[i] + "\": ONNX Runtime chooses a scale for them",
             "weights that the file quantizes");
    }
    return stays_float("input \"" + node.inputs[i] + "\" comes from no DequantizeLinear");
  }
  const bool layer = op == "Conv" || op == "Gemm";
  const size_t least = op == "Concat"                                          ? 1
                       : layer || op == "MatMul" || op == "Add" || op == "Mul" ? 2
                                                                               : 1;
  const size_t most = op == "Concat" ? operands.size() : layer ? 3 : least;
  if (operands.size() < least || operands.size() > most) {
    fail(node, std::to_string(operands.size()) + " inputs", std::to_string(least));
  }
  const sim::IntType type = operands[0].qparams.type;
  if (!every) {
    if (type.bits != 8) return stays_float("codes of " + sim::to_string(type));
    if (type != result.qparams.type) {
      return stays_float(sim::to_string(type) + " codes in, " +
                         sim::to_string(result.qparams.type) + " out");
    }
    const bool weighted = layer || op == "MatMul";
    if (weighted && operands[1].qparams.type.bits != 8) {
      return stays_float("weights of " + sim::to_string(operands[1].qparams.type));
    }
    if (weighted && type.is_signed && !operands[1].qparams.type.is_signed) {
      return stays_float("int8 codes with weights of uint8");
    }
    for (size_t i = 1; !weighted && i < operands.size(); ++i) {
      if (operands[i].qparams.type != type) return stays_float("inputs of different types");
    }
  }
  for (const QuantizedOperand& operand : operands) {
    if (&operand != &operands[0] && layer) break;
    if (operand.qparams.per_channel() && op != "MatMul") {
      return stays_float("an activation with a scale per channel");
    }
  }
  const OnnxTensor* bias = float_bias;
  if (layer && operands.size() == 3) {
    const auto* own = std::get_if<Constant>(&operands[2].codes);
    if (own == nullptr || own->tensor->type != OnnxType::int32) {
      return stays_float("a bias that is no int32 constant");
    }
    bias = own->tensor;
  }
  if (op == "Conv") return Codes{emit_conv(*this, node, operands[0], operands[1], bias, result)};
  if (op == "Gemm") return Codes{emit_gemm(*this, node, operands[0], operands[1], bias, result)};
  if (op == "MatMul") return Codes{emit_matmul(*this, node, operands[0], operands[1], result)};
  if (op == "Add" || op == "Mul") {
    return Codes{
        emit_binary(*this, node, op == "Add" ? "add" : "mul", operands[0], operands[1], result)};
  }
  if (op == "Concat") return Codes{emit_concat(*this, node, operands, result)};
  return Codes{emit_unary(*this, node, operands[0], result)};
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
