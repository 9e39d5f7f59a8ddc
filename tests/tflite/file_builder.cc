// SPDX-License-Identifier: Apache-2.0
#include "tests/tflite/file_builder.h"

#include <algorithm>
#include <memory>

#include "backends/tflite/read_tflite.h"

namespace facsim::test {

FileBuilder::FileBuilder() {
  model.version = 3;
  model.subgraphs.push_back(std::make_unique<tflite::SubGraphT>());
  model.buffers.push_back(std::make_unique<tflite::BufferT>());  // buffer 0: no data
}

int FileBuilder::activation(std::string name, tflite::TensorType type, std::vector<int32_t> shape,
                            Quantization quantization) {
  auto t = std::make_unique<tflite::TensorT>();
  t->name = std::move(name);
  t->type = type;
  t->shape = std::move(shape);
  if (!quantization.scale.empty()) {
    t->quantization = std::make_unique<tflite::QuantizationParametersT>();
    t->quantization->scale = std::move(quantization.scale);
    t->quantization->zero_point = std::move(quantization.zero_point);
    t->quantization->quantized_dimension = quantization.axis;
  }
  graph().tensors.push_back(std::move(t));
  return static_cast<int>(graph().tensors.size()) - 1;
}

int FileBuilder::bytes_constant(std::string name, tflite::TensorType type,
                                std::vector<int32_t> shape, std::vector<uint8_t> bytes,
                                Quantization quantization) {
  const int number = activation(std::move(name), type, std::move(shape), std::move(quantization));
  auto buffer = std::make_unique<tflite::BufferT>();
  buffer->data = std::move(bytes);
  model.buffers.push_back(std::move(buffer));
  tensor(number).buffer = static_cast<uint32_t>(model.buffers.size()) - 1;
  return number;
}

int FileBuilder::add(tflite::BuiltinOperator code, std::vector<int32_t> inputs,
                     std::vector<int32_t> outputs) {
  auto& codes = model.operator_codes;
  size_t index = 0;
  while (index < codes.size() && codes[index]->builtin_code != code) ++index;
  if (index == codes.size()) {
    auto entry = std::make_unique<tflite::OperatorCodeT>();
    entry->builtin_code = code;
    const auto number = static_cast<int32_t>(code);
    entry->deprecated_builtin_code = static_cast<int8_t>(std::min(number, 127));
    codes.push_back(std::move(entry));
  }
  auto added = std::make_unique<tflite::OperatorT>();
  added->opcode_index = static_cast<uint32_t>(index);
  added->inputs = std::move(inputs);
  added->outputs = std::move(outputs);
  graph().operators.push_back(std::move(added));
  return static_cast<int>(graph().operators.size()) - 1;
}

std::string FileBuilder::bytes() const {
  flatbuffers::FlatBufferBuilder builder;
  tflite::FinishModelBuffer(builder, tflite::Model::Pack(builder, &model));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

backends::IntGraph FileBuilder::read() const {
  return backends::parse_tflite(bytes(), "net.tflite");
}

}  // namespace facsim::test
