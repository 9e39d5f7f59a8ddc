// SPDX-License-Identifier: Apache-2.0
#include "backends/tflite/tflite_file-internal.h"

#include <fmt/format.h>

#include <algorithm>

#include "backends/text/utf8.h"

namespace facsim::backends::detail {

namespace {

constexpr size_t kSmallestFile = 8;  // root offset and identifier
constexpr size_t kLargestFile = size_t{1} << 30;
constexpr uint32_t kTfliteVersion = 3;
constexpr flatbuffers::uoffset_t kDeepestNesting = 64, kMostTables = 1000000;
constexpr size_t kLongestName = 4096;
constexpr uint32_t kMostAxes = 8, kMostOperands = 1024;
// Lists may be shared, so the file's size does not bound what is read of them.
constexpr uint32_t kMostTensors = 100000, kMostOperators = 100000;
constexpr size_t kMostOperandsInAll = 4000000;

[[noreturn]] void refuse_file(std::string place, std::string found, std::string expected = "",
                              ErrorCode code = ErrorCode::bad_value, std::string hint = "") {
  throw Error({code, std::move(place), std::move(found), std::move(expected), std::move(hint)});
}

/// Bits of an element of a type; 0: of no fixed size.
int64_t bits_of(tflite::TensorType type) {
  using enum tflite::TensorType;
  switch (type) {
    case INT4:
      return 4;
    case INT8:
    case UINT8:
    case BOOL:
      return 8;
    case INT16:
    case UINT16:
    case FLOAT16:
    case BFLOAT16:
      return 16;
    case INT32:
    case UINT32:
    case FLOAT32:
      return 32;
    case INT64:
    case UINT64:
    case FLOAT64:
    case COMPLEX64:
      return 64;
    case COMPLEX128:
      return 128;
    default:
      return 0;
  }
}

std::string_view text_of(const flatbuffers::String* text, const std::string& place) {
  if (text == nullptr) return {};
  if (text->size() > kLongestName) {
    refuse_file(place, fmt::format("a name of {} bytes", text->size()),
                fmt::format("at most {}", kLongestName));
  }
  const std::string_view name{text->c_str(), text->size()};
  if (!is_utf8(name)) refuse_file(place, "a name that is not UTF-8", "UTF-8");
  if (name.find('\0') != std::string_view::npos) {
    refuse_file(place, "a name with a zero byte", "text without zero bytes");
  }
  return name;
}

/// The code of an operator: newer files repeat small codes in builtin_code, older ones have only
/// the byte (TensorFlow Lite schema_utils.cc takes the larger).
tflite::BuiltinOperator builtin_code(const tflite::OperatorCode& code) {
  const int32_t number =
      std::max<int32_t>(static_cast<int32_t>(code.builtin_code()), code.deprecated_builtin_code());
  return static_cast<tflite::BuiltinOperator>(number);
}

}  // namespace

std::string operator_name(const TfliteOperator& op) {
  const std::string name = tflite::EnumNameBuiltinOperator(op.code);
  return name.empty() ? std::to_string(static_cast<int32_t>(op.code)) : name;
}

TfliteFile::TfliteFile(std::string_view bytes, std::string place)
    : bytes_(bytes), place_(std::move(place)) {
  const tflite::Model& model = *verified();
  if (model.version() != kTfliteVersion) {
    refuse_file(place_, fmt::format("schema version {}", model.version()),
                std::to_string(kTfliteVersion), ErrorCode::unsupported);
  }
  if (model.operator_codes() == nullptr) refuse_file(place_, "missing operator_codes");
  if (model.buffers() == nullptr) refuse_file(place_, "missing buffers");
  if (model.subgraphs() == nullptr || model.subgraphs()->size() == 0) {
    refuse_file(place_, "missing subgraphs");
  }
  const tflite::SubGraph& graph = *model.subgraphs()->Get(0);
  name_ = text_of(graph.name(), place_ + ": subgraph 0");
  if (graph.tensors() == nullptr || graph.tensors()->size() == 0) {
    refuse_file(place_ + ": subgraph 0", "missing tensors");
  }
  require_count(graph.tensors()->size(), kMostTensors, "tensors");
  for (const tflite::Tensor* tensor : *graph.tensors()) read_tensor(model, tensor);
  inputs_ = tensor_numbers(graph.inputs(), place_ + ": subgraph 0", "input", 0);
  outputs_ = tensor_numbers(graph.outputs(), place_ + ": subgraph 0", "output", 0);
  if (graph.operators() == nullptr) return;
  require_count(graph.operators()->size(), kMostOperators, "operators");
  for (const tflite::Operator* op : *graph.operators()) read_operator(model, op);
}

void TfliteFile::require_count(uint32_t count, uint32_t most, const char* what) const {
  if (count <= most) return;
  refuse_file(place_ + ": subgraph 0", fmt::format("{} {}", count, what),
              fmt::format("at most {}", most), ErrorCode::unsupported);
}

const tflite::Model* TfliteFile::verified() const {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes_.data());
  if (bytes_.size() < kSmallestFile || !tflite::ModelBufferHasIdentifier(data)) {
    refuse_file(place_, "not a TFLite file", "identifier \"TFL3\" at byte 4");
  }
  if (bytes_.size() > kLargestFile) {
    refuse_file(place_, fmt::format("a file of {} bytes", bytes_.size()),
                fmt::format("at most {}", kLargestFile), ErrorCode::unsupported);
  }
  flatbuffers::Verifier verifier(data, bytes_.size(), kDeepestNesting, kMostTables);
  if (!tflite::VerifyModelBuffer(verifier)) {
    refuse_file(place_, "flatbuffer verification failed",
                fmt::format("offsets inside the file, at most {} tables", kMostTables),
                ErrorCode::bad_value, "the file is damaged or cut");
  }
  return tflite::GetModel(data);
}

std::string TfliteFile::place_of(const TfliteTensor& tensor) const {
  return fmt::format("{}: tensor {} \"{}\"", place_, tensor.number, tensor.name);
}

std::string TfliteFile::place_of(const TfliteOperator& op) const {
  return fmt::format("{}: operator {} ({})", place_, op.number, operator_name(op));
}

std::vector<int> TfliteFile::tensor_numbers(const flatbuffers::Vector<int32_t>* list,
                                            const std::string& place, const char* what,
                                            int lowest) {
  std::vector<int> numbers;
  if (list == nullptr) return numbers;
  if (list->size() > kMostOperands) {
    refuse_file(place, fmt::format("{} {}s", list->size(), what),
                fmt::format("at most {}", kMostOperands), ErrorCode::unsupported);
  }
  operands_ += list->size();
  if (operands_ > kMostOperandsInAll) {
    refuse_file(place_ + ": subgraph 0", "too many operands",
                fmt::format("at most {} of all operators", kMostOperandsInAll),
                ErrorCode::unsupported);
  }
  for (uint32_t i = 0; i < list->size(); ++i) {
    const int32_t number = list->Get(i);
    if (number < lowest || number >= static_cast<int64_t>(tensors_.size())) {
      refuse_file(place, fmt::format("{} {}: tensor {}", what, i, number),
                  fmt::format("{}..{}", lowest, tensors_.size() - 1));
    }
    numbers.push_back(number);
  }
  return numbers;
}

std::span<const uint8_t> TfliteFile::bytes_of(const tflite::Buffer& buffer,
                                              const std::string& place) const {
  if (buffer.offset() > 1 || buffer.size() > 1) {
    if (buffer.offset() > bytes_.size() || buffer.size() > bytes_.size() - buffer.offset()) {
      refuse_file(place,
                  fmt::format("a buffer of {} bytes at byte {}", buffer.size(), buffer.offset()),
                  fmt::format("inside the file's {} bytes", bytes_.size()));
    }
    return {reinterpret_cast<const uint8_t*>(bytes_.data()) + buffer.offset(),
            static_cast<size_t>(buffer.size())};
  }
  if (buffer.data() == nullptr) return {};
  return {buffer.data()->data(), buffer.data()->size()};
}

void TfliteFile::read_tensor(const tflite::Model& model, const tflite::Tensor* table) {
  TfliteTensor tensor;
  tensor.number = static_cast<int>(tensors_.size());
  tensor.name = text_of(table->name(), fmt::format("{}: tensor {}", place_, tensor.number));
  tensor.type = table->type();
  tensor.quantization = table->quantization();
  tensor.buffer = table->buffer();
  tensor.is_variable = table->is_variable();
  tensor.is_sparse = table->sparsity() != nullptr;
  const std::string place = place_of(tensor);
  if (table->shape() != nullptr) {
    if (table->shape()->size() > kMostAxes) {
      refuse_file(place, fmt::format("{} axes", table->shape()->size()),
                  fmt::format("at most {}", kMostAxes), ErrorCode::unsupported);
    }
    std::vector<int64_t> extents(table->shape()->begin(), table->shape()->end());
    for (const int64_t extent : extents) {
      if (extent < 0)
        refuse_file(place, fmt::format("extent {} in the shape", extent), "0 or more");
    }
    tensor.shape = Shape(std::move(extents));
  }
  if (const auto* signature = table->shape_signature();
      signature != nullptr && signature->size() > 0) {
    bool agrees = static_cast<int>(signature->size()) == tensor.shape.rank();
    for (uint32_t i = 0; agrees && i < signature->size(); ++i) {
      agrees = signature->Get(i) == -1 || signature->Get(i) == tensor.shape[static_cast<int>(i)];
    }
    if (!agrees) {
      refuse_file(place, "shape_signature differs from shape " + to_string(tensor.shape),
                  "the same extents, or -1", ErrorCode::shape_mismatch);
    }
  }
  try {
    tensor.shape.numel();
  } catch (const Error& error) {
    refuse_file(place, error.infos().front().found, error.infos().front().expected);
  }
  if (tensor.buffer >= model.buffers()->size()) {
    refuse_file(place, fmt::format("buffer {}", tensor.buffer),
                fmt::format("0..{}", static_cast<int64_t>(model.buffers()->size()) - 1));
  }
  if (table->external_buffer() != 0) {
    refuse_file(place, "data in another file (external_buffer)", "data in this file",
                ErrorCode::unsupported);
  }
  tensor.bytes = bytes_of(*model.buffers()->Get(tensor.buffer), place);
  tensor.is_constant = !tensor.bytes.empty();
  const int64_t bits = bits_of(tensor.type);
  if (tensor.is_constant && bits > 0 && !tensor.is_sparse) {
    const int64_t expected = (tensor.shape.numel() * bits + 7) / 8;
    if (static_cast<int64_t>(tensor.bytes.size()) != expected) {
      refuse_file(place, fmt::format("a buffer of {} bytes", tensor.bytes.size()),
                  fmt::format("{} for {} {}", expected, tflite::EnumNameTensorType(tensor.type),
                              to_string(tensor.shape)),
                  ErrorCode::shape_mismatch);
    }
  }
  tensors_.push_back(std::move(tensor));
}

void TfliteFile::read_operator(const tflite::Model& model, const tflite::Operator* table) {
  TfliteOperator op;
  op.number = static_cast<int>(operators_.size());
  op.table = table;
  const std::string number = fmt::format("{}: operator {}", place_, op.number);
  if (table->opcode_index() >= model.operator_codes()->size()) {
    refuse_file(number, fmt::format("opcode_index {}", table->opcode_index()),
                fmt::format("0..{}", static_cast<int64_t>(model.operator_codes()->size()) - 1));
  }
  const tflite::OperatorCode& code = *model.operator_codes()->Get(table->opcode_index());
  op.code = builtin_code(code);
  op.custom_code = text_of(code.custom_code(), number);
  const std::string place = place_of(op);
  op.inputs = tensor_numbers(table->inputs(), place, "input", -1);
  op.outputs = tensor_numbers(table->outputs(), place, "output", 0);
  op.intermediates = tensor_numbers(table->intermediates(), place, "intermediate", -1);
  operators_.push_back(std::move(op));
}

}  // namespace facsim::backends::detail
