// SPDX-License-Identifier: Apache-2.0
// QuantizeLinear, and the groups of float ops that it makes one op on codes (README.md beside this
// file, with ONNX Runtime's sources).
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "backends/onnx/onnx_check-internal.h"
#include "backends/onnx/quantized-internal.h"
#include "quant/tensor_spec.h"

namespace facsim::backends::detail {

namespace {

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

bool is_clip(const OnnxNode& node) {
  return node.domain.empty() && (node.op_type == "Relu" || node.op_type == "Clip");
}

bool is_group_op(const OnnxNode& node) {
  static constexpr std::array<std::string_view, 11> kOps{
      "Conv",        "Gemm",      "MatMul",
      "Add",         "Mul",       "Concat",
      "AveragePool", "LeakyRelu", "GlobalAveragePool",
      "Sigmoid",     "Softmax"};
  return node.domain.empty() && std::find(kOps.begin(), kOps.end(), node.op_type) != kOps.end();
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

}  // namespace facsim::backends::detail
