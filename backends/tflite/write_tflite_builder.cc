// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include <fmt/format.h>

#include "backends/tflite/write_tflite-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

constexpr int64_t kUint8Shift = 128;
constexpr int64_t kMaxConstants = int64_t{1} << 30;

std::optional<tflite::TensorType> tensor_type(sim::IntType type) {
  if (type == sim::IntType{4, true}) return tflite::TensorType::INT4;
  if (type == sim::kInt8) return tflite::TensorType::INT8;
  if (type == sim::kInt16) return tflite::TensorType::INT16;
  if (type == sim::kInt32) return tflite::TensorType::INT32;
  if (type == sim::IntType{64, true}) return tflite::TensorType::INT64;
  return {};
}

/// Codes of an unsigned type in the signed one.
Tensor shifted(const Tensor& codes) {
  if (codes.dtype() != DType::uint8) return codes;
  Tensor out(DType::int8, codes.shape());
  for (int64_t i = 0; i < codes.numel(); ++i) out.set_int(i, codes.int_at(i) - kUint8Shift);
  return out;
}

}  // namespace

void TfliteBuilder::unsupported(const IntNode& node, std::string found, std::string expected,
                                std::string hint) {
  throw Error({ErrorCode::unsupported, fmt::format("node \"{}\" ({})", node.name, node.op),
               std::move(found), std::move(expected), std::move(hint)});
}

void TfliteBuilder::require_equal_scales(const IntNode& node) const {
  for (const int number : node.inputs) {
    if (tensor(number).qparams == output(node).qparams) continue;
    unsupported(node, "scales that differ between input and output",
                "equal ones, as TensorFlow Lite demands");
  }
}

TfliteBuilder::TfliteBuilder(const IntGraph& graph) : graph_(graph) {
  check_tensors();
  int64_t bytes = 0;
  for (const IntTensor& t : graph.tensors) {
    if (t.data) bytes += static_cast<int64_t>(t.data->bytes());
  }
  if (bytes > kMaxConstants) {
    throw Error({ErrorCode::unsupported, "network", fmt::format("{} bytes of constants", bytes),
                 fmt::format("at most {}", kMaxConstants), "a flatbuffer ends at 2 GiB"});
  }
  buffers_.push_back(tflite::CreateBuffer(tables_));  // of all that have no data
  for (const IntTensor& t : graph.tensors) names_.insert(t.name);
  for (const int t : graph.inputs) operand(t);
}

void TfliteBuilder::check_tensors() const {
  for (const IntTensor& t : graph_.tensors) {
    if (t.data || !t.qparams) continue;
    const auto refuse = [&](std::string found, std::string expected) {
      throw Error({ErrorCode::unsupported, fmt::format("tensor \"{}\"", t.name), std::move(found),
                   std::move(expected), "TensorFlow Lite cannot say it"});
    };
    const quant::QParams& q = *t.qparams;
    if (q.type != sim::kInt8 && q.type != sim::kUint8 && q.type != sim::kInt16) {
      refuse(fmt::format("{} activations", to_string(q.type)), "int8, uint8 or int16");
    }
    if (q.per_channel()) refuse("an activation with a scale per channel", "one scale");
    if (q.quant_min != q.type.min() || q.quant_max != q.type.max()) {
      refuse(fmt::format("codes {}..{}", q.quant_min, q.quant_max),
             fmt::format("the whole type, {}..{}", q.type.min(), q.type.max()));
    }
    if (q.type == sim::kInt16 && q.zero_point.front() != 0) {
      refuse(fmt::format("int16 codes with zero point {}", q.zero_point.front()), "0");
    }
  }
}

std::string TfliteBuilder::fresh(std::string name) {
  std::string own = name;
  for (int i = 2; !names_.insert(own).second; ++i) own = fmt::format("{}_{}", name, i);
  return own;
}

quant::QParams TfliteBuilder::file_qparams(const quant::QParams& qparams) {
  quant::QParams out = qparams;
  if (out.type != sim::kUint8) return out;
  out.type = sim::kInt8;
  out.quant_min -= kUint8Shift;
  out.quant_max -= kUint8Shift;
  for (int64_t& zero_point : out.zero_point) zero_point -= kUint8Shift;
  return out;
}

uint32_t TfliteBuilder::add_buffer(const Tensor& elements, tflite::TensorType type) {
  const auto* raw = static_cast<const uint8_t*>(elements.raw());
  std::vector<uint8_t> bytes(raw, raw + elements.bytes());
  if (type == tflite::TensorType::INT4) {  // element 2k in the low half of byte k
    bytes.assign(static_cast<size_t>((elements.numel() + 1) / 2), 0);
    for (int64_t i = 0; i < elements.numel(); ++i) {
      const auto nibble = static_cast<unsigned>(elements.int_at(i)) & 15u;
      bytes[static_cast<size_t>(i / 2)] |= static_cast<uint8_t>(i % 2 == 0 ? nibble : nibble << 4);
    }
  }
  buffers_.push_back(tflite::CreateBufferDirect(tables_, &bytes));
  return static_cast<uint32_t>(buffers_.size() - 1);
}

int TfliteBuilder::add_tensor(const std::string& name, tflite::TensorType type, const Shape& shape,
                              const quant::QParams* qparams, const Tensor* data, bool has_batch) {
  std::vector<int32_t> extents;
  for (const int64_t extent : shape) {
    if (extent > INT32_MAX) {
      throw Error({ErrorCode::unsupported, fmt::format("tensor \"{}\"", name),
                   "shape " + to_string(shape), "extents of 31 bits", ""});
    }
    extents.push_back(static_cast<int32_t>(extent));
  }
  const uint32_t buffer = data == nullptr ? 0 : add_buffer(*data, type);
  flatbuffers::Offset<tflite::QuantizationParameters> quantization;
  if (qparams != nullptr) {
    const auto scale = tables_.CreateVector(qparams->scale);
    const auto zero_point = tables_.CreateVector(qparams->zero_point);
    tflite::QuantizationParametersBuilder table(tables_);
    table.add_scale(scale);
    table.add_zero_point(zero_point);
    table.add_quantized_dimension(qparams->per_channel() ? qparams->channel_axis : 0);
    quantization = table.Finish();
  }
  const auto shape_vector = tables_.CreateVector(extents);
  flatbuffers::Offset<flatbuffers::Vector<int32_t>> signature;
  if (has_batch) {
    extents[0] = -1;
    signature = tables_.CreateVector(extents);
  }
  const auto name_string = tables_.CreateString(name);
  tflite::TensorBuilder table(tables_);
  table.add_shape(shape_vector);
  table.add_type(type);
  table.add_buffer(buffer);
  table.add_name(name_string);
  if (!quantization.IsNull()) table.add_quantization(quantization);
  if (!signature.IsNull()) table.add_shape_signature(signature);
  table.add_has_rank(true);
  tensors_.push_back(table.Finish());
  return static_cast<int>(tensors_.size()) - 1;
}

int TfliteBuilder::operand(int number) {
  const auto found = numbers_.find(number);
  if (found != numbers_.end()) return found->second;
  const IntTensor& t = tensor(number);
  if (t.dtype == DType::float32) {
    return numbers_[number] = add_tensor(t.name, tflite::TensorType::FLOAT32, t.shape, nullptr,
                                         t.data ? &*t.data : nullptr, !t.data);
  }
  if (t.data) return layer_constant(number, *t.qparams, *t.data, t.qparams->channel_axis);
  const quant::QParams qparams = file_qparams(*t.qparams);
  return numbers_[number] =
             add_tensor(t.name, *tensor_type(qparams.type), t.shape, &qparams, nullptr, true);
}

int TfliteBuilder::layer_constant(int number, const quant::QParams& qparams, const Tensor& elements,
                                  int axis) {
  quant::QParams own = file_qparams(qparams);
  own.channel_axis = own.per_channel() ? axis : -1;
  std::vector<Constant>& written = constants_[number];
  for (const Constant& c : written) {
    if (c.shape == elements.shape() && c.qparams == own) return c.number;
  }
  const auto type = tensor_type(own.type);
  if (!type) {
    throw Error({ErrorCode::unsupported, fmt::format("tensor \"{}\"", tensor(number).name),
                 fmt::format("{} codes", to_string(qparams.type)),
                 "int4, int8, uint8 or int16 (biases int32 or int64)",
                 "TensorFlow Lite cannot say it"});
  }
  const Tensor codes = shifted(elements);
  const std::string& name = tensor(number).name;
  const int constant = add_tensor(written.empty() ? name : fresh(name + "/layout"), *type,
                                  codes.shape(), &own, &codes, false);
  written.push_back({codes.shape(), own, constant});
  return constant;
}

int TfliteBuilder::integers(std::string name, const std::vector<int64_t>& values) {
  Tensor list(DType::int32, Shape{static_cast<int64_t>(values.size())});
  for (size_t i = 0; i < values.size(); ++i) list.set_int(static_cast<int64_t>(i), values[i]);
  return integer_tensor(std::move(name), list);
}

int TfliteBuilder::integer_tensor(std::string name, const Tensor& values) {
  return add_tensor(fresh(std::move(name)), tflite::TensorType::INT32, values.shape(), nullptr,
                    &values, false);
}

int TfliteBuilder::new_constant(std::string name, const quant::QParams& qparams,
                                const Tensor& codes) {
  return add_tensor(fresh(std::move(name)), *tensor_type(qparams.type), codes.shape(), &qparams,
                    &codes, false);
}

int TfliteBuilder::between(const IntNode& node, const IntTensor& like, const Shape& shape,
                           std::string_view suffix) {
  const quant::QParams qparams = file_qparams(*like.qparams);
  return add_tensor(fresh(fmt::format("{}/{}", node.name, suffix)), *tensor_type(qparams.type),
                    shape, &qparams, nullptr, true);
}

int TfliteBuilder::single_code(const IntNode& node, const IntTensor& like, int64_t code) {
  const quant::QParams qparams = file_qparams(*like.qparams);
  Tensor value(qparams.type.storage(), Shape{1});
  value.set_int(0, code - (like.qparams->type == sim::kUint8 ? kUint8Shift : 0));
  return add_tensor(fresh(node.name + "/value"), *tensor_type(qparams.type), value.shape(),
                    &qparams, &value, false);
}

void TfliteBuilder::add(tflite::BuiltinOperator code, int version, const std::vector<int>& inputs,
                        int output, TfliteOptions options) {
  const auto [entry, is_new] =
      code_numbers_.try_emplace({code, version}, static_cast<uint32_t>(codes_.size()));
  if (is_new) {
    // Readers before schema 3a know the first field alone.
    const auto old = static_cast<int8_t>(
        std::min(static_cast<int>(code),
                 static_cast<int>(tflite::BuiltinOperator::PLACEHOLDER_FOR_GREATER_OP_CODES)));
    codes_.push_back(tflite::CreateOperatorCode(tables_, old, 0, version, code));
  }
  const auto input_vector = tables_.CreateVector(inputs);
  const auto output_vector = tables_.CreateVector(std::vector<int>{output});
  tflite::OperatorBuilder table(tables_);
  table.add_opcode_index(entry->second);
  table.add_inputs(input_vector);
  table.add_outputs(output_vector);
  if (options.type != tflite::BuiltinOptions::NONE) {
    table.add_builtin_options_type(options.type);
    table.add_builtin_options(options.table);
  }
  operators_.push_back(table.Finish());
}

std::string TfliteBuilder::finish() {
  std::vector<int> inputs, outputs;
  for (const int t : graph_.inputs) inputs.push_back(operand(t));
  for (const int t : graph_.outputs) {
    if (tensor(t).data) {
      throw Error({ErrorCode::unsupported, fmt::format("network output \"{}\"", tensor(t).name),
                   "a constant", "a tensor that a node makes", ""});
    }
    outputs.push_back(operand(t));
  }
  const std::vector<flatbuffers::Offset<tflite::SubGraph>> subgraphs{tflite::CreateSubGraphDirect(
      tables_, &tensors_, &inputs, &outputs, &operators_, graph_.name.c_str())};
  tables_.Finish(tflite::CreateModelDirect(tables_, 3, &codes_, &subgraphs, "facsim", &buffers_),
                 tflite::ModelIdentifier());
  return {reinterpret_cast<const char*>(tables_.GetBufferPointer()), tables_.GetSize()};
}

tflite::ActivationFunctionType tflite_activation(Activation activation) {
  switch (activation) {
    case Activation::relu:
      return tflite::ActivationFunctionType::RELU;
    case Activation::relu6:
      return tflite::ActivationFunctionType::RELU6;
    case Activation::relu_n1_to_1:
      return tflite::ActivationFunctionType::RELU_N1_TO_1;
    case Activation::none:
      break;
  }
  return tflite::ActivationFunctionType::NONE;
}

}  // namespace facsim::backends::detail
