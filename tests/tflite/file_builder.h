// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/tflite/schema-internal.h"

namespace facsim::test {

namespace tflite = backends::tflite;

/// Scales, zero points and their axis; no scales: none.
struct Quantization {
  std::vector<float> scale;
  std::vector<int64_t> zero_point;
  int axis = 0;
};

/// A .tflite under construction. Everything stays open to changes in `model` (FlatBuffers' object
/// API) until `bytes`, so that bad files are made by setting what is wrong.
class FileBuilder {
 public:
  FileBuilder();

  tflite::ModelT model;
  tflite::SubGraphT& graph() { return *model.subgraphs[0]; }
  tflite::TensorT& tensor(int number) { return *graph().tensors[static_cast<size_t>(number)]; }
  tflite::OperatorT& op(int number) { return *graph().operators[static_cast<size_t>(number)]; }

  int activation(std::string name, tflite::TensorType type, std::vector<int32_t> shape,
                 Quantization quantization = {});
  int int8(std::string name, std::vector<int32_t> shape, float scale = 0.5f,
           int64_t zero_point = 0) {
    return activation(std::move(name), tflite::TensorType::INT8, std::move(shape),
                      {{scale}, {zero_point}});
  }
  int bytes_constant(std::string name, tflite::TensorType type, std::vector<int32_t> shape,
                     std::vector<uint8_t> bytes, Quantization quantization = {});
  template <class T>
  int constant(std::string name, tflite::TensorType type, std::vector<int32_t> shape,
               const std::vector<T>& values, Quantization quantization = {}) {
    std::vector<uint8_t> bytes(values.size() * sizeof(T));
    if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes_constant(std::move(name), type, std::move(shape), std::move(bytes),
                          std::move(quantization));
  }
  int int32s(std::string name, const std::vector<int32_t>& values) {
    return constant<int32_t>(std::move(name), tflite::TensorType::INT32,
                             {static_cast<int32_t>(values.size())}, values);
  }

  /// Adds an operator; its number.
  int add(tflite::BuiltinOperator code, std::vector<int32_t> inputs, std::vector<int32_t> outputs);
  template <class OptionsT>
  int add(tflite::BuiltinOperator code, std::vector<int32_t> inputs, std::vector<int32_t> outputs,
          OptionsT options) {
    const int number = add(code, std::move(inputs), std::move(outputs));
    op(number).builtin_options.Set(std::move(options));
    return number;
  }
  void inputs(std::vector<int32_t> numbers) { graph().inputs = std::move(numbers); }
  void outputs(std::vector<int32_t> numbers) { graph().outputs = std::move(numbers); }

  std::string bytes() const;
  /// What read_tflite makes of it.
  backends::IntGraph read() const;
};

}  // namespace facsim::test
