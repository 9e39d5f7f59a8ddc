// SPDX-License-Identifier: Apache-2.0
// The reverse of onnx_read.cc.
#include <cstring>

#include "backends/io/npy.h"
#include "backends/onnx/onnx_tensor-internal.h"

namespace facsim::backends {

namespace {

/// Fields of a message in the protobuf wire format.
class OnnxBuilder {
 public:
  void integer(uint64_t field, int64_t value) {
    varint(field << 3);
    varint(static_cast<uint64_t>(value));
  }
  void real(uint64_t field, float value) {
    varint(field << 3 | 5);
    append(&value, sizeof value);
  }
  void bytes(uint64_t field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    bytes_ += value;
  }
  /// Left out when empty.
  void text(uint64_t field, std::string_view value) {
    if (!value.empty()) bytes(field, value);
  }
  /// One field each: what readers of packed fields take too.
  void integers(uint64_t field, const std::vector<int64_t>& values) {
    for (const int64_t value : values) integer(field, value);
  }
  const std::string& data() const { return bytes_; }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  void append(const void* data, size_t count) {
    bytes_.append(static_cast<const char*>(data), count);
  }

  std::string bytes_;
};

std::string onnx_tensor_bytes(const OnnxTensor& tensor) {
  OnnxBuilder out;
  out.integers(1, tensor.values.shape().extents());
  out.integer(2, static_cast<int32_t>(tensor.type));
  out.text(8, tensor.name);
  out.bytes(9, detail::encode_raw(tensor, "tensor \"" + tensor.name + "\""));
  return out.data();
}

std::string onnx_attribute_bytes(const OnnxAttribute& attribute, const OnnxNode& node) {
  OnnxBuilder out;
  out.text(1, attribute.name);
  const auto& value = attribute.value;
  int64_t kind = 0;
  if (const auto* real = std::get_if<float>(&value)) {
    out.real(2, *real);
    kind = 1;
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    out.integer(3, *integer);
    kind = 2;
  } else if (const auto* string = std::get_if<std::string>(&value)) {
    out.bytes(4, *string);
    kind = 3;
  } else if (const auto* tensor = std::get_if<OnnxTensor>(&value)) {
    out.bytes(5, onnx_tensor_bytes(*tensor));
    kind = 4;
  } else if (const auto* reals = std::get_if<std::vector<float>>(&value)) {
    for (const float entry : *reals) out.real(7, entry);
    kind = 6;
  } else if (const auto* integers = std::get_if<std::vector<int64_t>>(&value)) {
    out.integers(8, *integers);
    kind = 7;
  } else if (const auto* strings = std::get_if<std::vector<std::string>>(&value)) {
    for (const std::string& entry : *strings) out.bytes(9, entry);
    kind = 8;
  } else {
    throw Error({ErrorCode::unsupported, place_of(node),
                 "attribute \"" + attribute.name + "\" whose value was not read", "", ""});
  }
  out.integer(20, kind);
  return out.data();
}

std::string onnx_node_bytes(const OnnxNode& node) {
  OnnxBuilder out;
  for (const std::string& input : node.inputs) out.bytes(1, input);
  for (const std::string& output : node.outputs) out.bytes(2, output);
  out.text(3, node.name);
  out.text(4, node.op_type);
  for (const OnnxAttribute& attribute : node.attributes) {
    out.bytes(5, onnx_attribute_bytes(attribute, node));
  }
  out.text(7, node.domain);
  return out.data();
}

std::string onnx_value_bytes(const OnnxValueInfo& value) {
  OnnxBuilder out;
  out.text(1, value.name);
  if (value.type == OnnxType::undefined) return out.data();
  OnnxBuilder tensor;
  tensor.integer(1, static_cast<int32_t>(value.type));
  if (value.dims) {
    OnnxBuilder shape;
    for (const OnnxDim& dim : *value.dims) {
      OnnxBuilder entry;
      if (const auto* extent = std::get_if<int64_t>(&dim)) {
        entry.integer(1, *extent);
      } else {
        entry.text(2, std::get<std::string>(dim));
      }
      shape.bytes(1, entry.data());
    }
    tensor.bytes(2, shape.data());
  }
  OnnxBuilder type;
  type.bytes(1, tensor.data());
  out.bytes(2, type.data());
  return out.data();
}

std::string onnx_graph_bytes(const OnnxGraph& graph) {
  OnnxBuilder out;
  for (const OnnxNode& node : graph.nodes) out.bytes(1, onnx_node_bytes(node));
  out.bytes(2, graph.name.empty() ? "graph" : graph.name);  // the specification wants one
  for (const OnnxTensor& tensor : graph.initializers) out.bytes(5, onnx_tensor_bytes(tensor));
  for (const OnnxValueInfo& input : graph.inputs) out.bytes(11, onnx_value_bytes(input));
  for (const OnnxValueInfo& output : graph.outputs) out.bytes(12, onnx_value_bytes(output));
  for (const OnnxValueInfo& value : graph.values) out.bytes(13, onnx_value_bytes(value));
  return out.data();
}

}  // namespace

std::string onnx_bytes(const OnnxModel& model) {
  OnnxBuilder out;
  out.integer(1, model.ir_version);
  out.text(2, model.producer_name);
  out.text(3, model.producer_version);
  out.bytes(7, onnx_graph_bytes(model.graph));
  for (const OnnxOpset& opset : model.opsets) {
    OnnxBuilder entry;
    entry.text(1, opset.domain);
    entry.integer(2, opset.version);
    out.bytes(8, entry.data());
  }
  for (const auto& [key, value] : model.metadata) {
    OnnxBuilder entry;
    entry.bytes(1, key);
    entry.bytes(2, value);
    out.bytes(14, entry.data());
  }
  if (out.data().size() > size_t{INT32_MAX}) {
    throw Error({ErrorCode::unsupported, "ONNX file", std::to_string(out.data().size()) + " bytes",
                 "at most 2 GiB", ""});
  }
  return out.data();
}

void write_onnx_model(const std::filesystem::path& file, const OnnxModel& model) {
  write_file_atomically(file, onnx_bytes(model));
}

}  // namespace facsim::backends
