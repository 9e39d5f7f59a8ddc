// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/tflite/schema-internal.h"
#include "sim/core/error.h"
#include "sim/core/shape.h"

namespace facsim::backends::detail {

/// A tensor of a verified file: buffer, shape and lengths checked. Points into the file.
struct TfliteTensor {
  int number = 0;
  std::string_view name;
  tflite::TensorType type = tflite::TensorType::FLOAT32;
  Shape shape;
  const tflite::QuantizationParameters* quantization = nullptr;  ///< null: none
  uint32_t buffer = 0;
  std::span<const uint8_t> bytes;  ///< of a constant
  bool is_constant = false, is_variable = false, is_sparse = false;
};

struct TfliteOperator {
  int number = 0;
  tflite::BuiltinOperator code = tflite::BuiltinOperator::ADD;
  std::string_view custom_code;
  const tflite::Operator* table = nullptr;
  std::vector<int> inputs, outputs, intermediates;  ///< tensor numbers; -1: an optional input
};

/// "CONV_2D", or the number of a code that the schema does not name.
std::string operator_name(const TfliteOperator& op);

/// The first subgraph of a .tflite in memory, which must outlive this and start at an address that
/// is a multiple of 16. Verified: every offset, index and length; what tensors mean is checked by
/// who uses them.
class TfliteFile {
 public:
  TfliteFile(std::string_view bytes, std::string place);

  const std::string& place() const { return place_; }
  size_t size() const { return bytes_.size(); }
  std::string_view name() const { return name_; }
  const std::vector<TfliteTensor>& tensors() const { return tensors_; }
  const std::vector<TfliteOperator>& operators() const { return operators_; }
  const std::vector<int>& inputs() const { return inputs_; }
  const std::vector<int>& outputs() const { return outputs_; }
  /// "FILE: tensor 7 \"name\"".
  std::string place_of(const TfliteTensor& tensor) const;
  /// "FILE: operator 3 (CONV_2D)".
  std::string place_of(const TfliteOperator& op) const;

 private:
  const tflite::Model* verified() const;
  void require_count(uint32_t count, uint32_t most, const char* what) const;
  void read_tensor(const tflite::Model& model, const tflite::Tensor* tensor);
  void read_operator(const tflite::Model& model, const tflite::Operator* op);
  std::vector<int> tensor_numbers(const flatbuffers::Vector<int32_t>* list,
                                  const std::string& place, const char* what, int lowest);
  std::span<const uint8_t> bytes_of(const tflite::Buffer& buffer, const std::string& place) const;

  std::string_view bytes_;
  std::string place_;
  std::string_view name_;
  std::vector<TfliteTensor> tensors_;
  std::vector<TfliteOperator> operators_;
  std::vector<int> inputs_, outputs_;
  size_t operands_ = 0;  ///< in all lists read so far
};

}  // namespace facsim::backends::detail
