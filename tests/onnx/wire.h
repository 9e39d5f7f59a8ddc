// SPDX-License-Identifier: Apache-2.0
// Fields of the protobuf wire format, written without the code under test.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>

namespace facsim::test {

inline std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 128; value /= 128) out += static_cast<char>(value % 128 + 128);
  return out + static_cast<char>(value);
}

/// A field with a number.
template <std::integral T>
std::string field(uint64_t number, T value) {
  return varint(number * 8) + varint(static_cast<uint64_t>(int64_t{value}));
}

/// A field with bytes: a text, a message, packed numbers.
inline std::string field(uint64_t number, std::string_view bytes) {
  return varint(number * 8 + 2) + varint(bytes.size()) + std::string(bytes);
}
inline std::string field(uint64_t number, const char* text) {
  return field(number, std::string_view(text));
}
inline std::string field(uint64_t number, const std::string& text) {
  return field(number, std::string_view(text));
}

/// Values as they lie in memory (little endian).
template <class T>
std::string little_endian(std::initializer_list<T> values) {
  std::string out(values.size() * sizeof(T), '\0');
  std::memcpy(out.data(), values.begin(), out.size());
  return out;
}

/// The ModelProto of a graph's bytes, IR 8, opset 13.
inline std::string wire_model(std::string_view graph) {
  return field(1, 8) + field(7, graph) + field(8, field(2, 13));
}

/// A NodeProto.
inline std::string wire_node(std::string_view op, std::initializer_list<std::string_view> inputs,
                             std::initializer_list<std::string_view> outputs,
                             std::string_view more = "") {
  std::string out;
  for (const auto input : inputs) out += field(1, input);
  for (const auto output : outputs) out += field(2, output);
  return field(1, out + field(4, op) + std::string(more));
}

/// A graph input or output (field 11 or 12) without a type.
inline std::string wire_value(uint64_t number, std::string_view name) {
  return field(number, field(1, name));
}

}  // namespace facsim::test
