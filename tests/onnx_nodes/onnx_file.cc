// SPDX-License-Identifier: Apache-2.0
#include "tests/onnx_nodes/onnx_file.h"

#include <array>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "backends/io/npy.h"
#include "backends/parity/onnx_message-internal.h"

namespace facsim::test {

namespace {

using backends::detail::OnnxMessage;

/// TensorProto.DataType (onnx.proto), by number.
constexpr std::array<const char*, 27> kTypeNames = {
    "undefined",      "float32",  "uint8",        "int8",           "uint16",
    "int16",          "int32",    "int64",        "string",         "bool",
    "float16",        "float64",  "uint32",       "uint64",         "complex64",
    "complex128",     "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2",
    "float8e5m2fnuz", "uint4",    "int4",         "float4e2m1",     "float8e8m0",
    "uint2",          "int2"};

struct TensorMessage {
  std::vector<int64_t> dims, int32_data, int64_data;
  std::vector<float> float_data;
  std::string name, raw;
  uint64_t type = 0;
};

void append_floats(std::string_view bytes, std::vector<float>& out) {
  for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    float value = 0;
    std::memcpy(&value, bytes.data() + i, 4);
    out.push_back(value);
  }
}

TensorMessage read_tensor_message(OnnxMessage message) {
  TensorMessage out;
  while (message.next()) {
    if (message.field() == 1) message.append_integers(out.dims);
    if (message.field() == 2) out.type = message.number();
    if (message.field() == 4) append_floats(message.data(), out.float_data);
    if (message.field() == 5) message.append_integers(out.int32_data);
    if (message.field() == 7) message.append_integers(out.int64_data);
    if (message.field() == 8) out.name = message.text();
    if (message.field() == 9) out.raw = message.text();
  }
  return out;
}

/// Bits of a sub-byte type's code, 0 for other types.
int packed_bits(const std::string& type) {
  if (type == "int4" || type == "uint4") return 4;
  return type == "int2" || type == "uint2" ? 2 : 0;
}

/// The first element in the lowest bits of a byte.
Tensor unpack(const std::string& bytes, int bits, bool is_signed, const Shape& shape) {
  Tensor out(is_signed ? DType::int8 : DType::uint8, shape);
  const int per_byte = 8 / bits;
  if (static_cast<int64_t>(bytes.size()) * per_byte < out.numel()) {
    throw std::runtime_error("too few bytes");
  }
  for (int64_t i = 0; i < out.numel(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[static_cast<size_t>(i / per_byte)]);
    int64_t code = byte >> (i % per_byte * bits) & ((1 << bits) - 1);
    if (is_signed && code >> (bits - 1) != 0) code -= int64_t{1} << bits;
    out.set_int(i, code);
  }
  return out;
}

Tensor values_of(const TensorMessage& message, const std::string& type, const Shape& shape) {
  if (const int bits = packed_bits(type); bits != 0) {
    std::string bytes = message.raw;
    for (const int64_t byte : message.int32_data) bytes.push_back(static_cast<char>(byte));
    return unpack(bytes, bits, type[0] == 'i', shape);
  }
  for (const DType dtype : {DType::float32, DType::uint8, DType::int8, DType::uint16, DType::int16,
                            DType::int32, DType::int64}) {
    if (to_string(dtype) != type) continue;
    Tensor out(dtype, shape);
    const auto count = static_cast<size_t>(out.numel());
    if (!message.raw.empty() && message.raw.size() == out.bytes()) {
      std::memcpy(out.raw(), message.raw.data(), out.bytes());
    } else if (dtype == DType::float32 && message.float_data.size() == count) {
      std::memcpy(out.raw(), message.float_data.data(), out.bytes());
    } else {
      const auto& integers = dtype == DType::int64 ? message.int64_data : message.int32_data;
      if (integers.size() != count) throw std::runtime_error("elements do not fill the shape");
      for (size_t i = 0; i < count; ++i) out.set_int(static_cast<int64_t>(i), integers[i]);
    }
    return out;
  }
  return {};
}

OnnxTensor to_tensor(const TensorMessage& message) {
  OnnxTensor out;
  out.name = message.name;
  out.type = message.type < kTypeNames.size() ? kTypeNames[message.type]
                                              : "type " + std::to_string(message.type);
  // Our suites hold scalars as one element.
  const std::vector<int64_t> extents =
      message.dims.empty() ? std::vector<int64_t>{1} : message.dims;
  int64_t count = 1;
  for (const int64_t extent : extents) {
    if (extent < 0 || extent > (1 << 24) || (count *= extent) > (1 << 24)) {
      throw std::runtime_error("a shape of more than 2^24 elements");
    }
  }
  out.values = values_of(message, out.type, Shape(extents));
  return out;
}

OnnxTestNode read_node_message(OnnxMessage message) {
  OnnxTestNode node;
  while (message.next()) {
    if (message.field() == 1) node.inputs.push_back(message.text());
    if (message.field() == 2) node.outputs.push_back(message.text());
    if (message.field() == 4) node.op = message.text();
    if (message.field() != 5) continue;
    std::string name;
    std::vector<int64_t> integers;
    OnnxMessage attribute = message.message();
    while (attribute.next()) {
      if (attribute.field() == 1) name = attribute.text();
      if (attribute.field() == 3 || attribute.field() == 8) attribute.append_integers(integers);
      if (attribute.field() == 4) node.strings[name] = attribute.text();
    }
    if (!integers.empty()) node.integers[name] = integers;
  }
  return node;
}

std::string value_name(OnnxMessage message) {
  while (message.next()) {
    if (message.field() == 1) return message.text();
  }
  return {};
}

template <class Read>
auto with_place(const std::filesystem::path& file, const Read& read) {
  try {
    const std::string bytes = backends::read_file(file);
    return read(OnnxMessage(bytes, 0, ""));
  } catch (const std::exception& error) {
    throw std::runtime_error(file.string() + ": " + error.what());
  }
}

}  // namespace

OnnxTestModel read_onnx_model(const std::filesystem::path& file) {
  return with_place(file, [](OnnxMessage top) {
    OnnxTestModel model;
    while (top.next()) {
      if (top.field() != 7) continue;
      OnnxMessage graph = top.message();
      while (graph.next()) {
        if (graph.field() == 1) model.nodes.push_back(read_node_message(graph.message()));
        if (graph.field() == 11) model.inputs.push_back(value_name(graph.message()));
        if (graph.field() == 12) model.outputs.push_back(value_name(graph.message()));
      }
    }
    return model;
  });
}

OnnxTensor read_onnx_tensor(const std::filesystem::path& file) {
  return with_place(file,
                    [](OnnxMessage message) { return to_tensor(read_tensor_message(message)); });
}

}  // namespace facsim::test
