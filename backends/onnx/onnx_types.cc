// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "backends/onnx/onnx_tensor-internal.h"

namespace facsim::backends {

namespace {

struct OnnxTypeRow {
  std::string_view word;
  std::optional<DType> storage;
  int bits = 0;  ///< of an element in raw data; 0 where facsim does not hold the type
  std::optional<sim::IntType> codes = {};
};

/// By ONNX's number.
const std::array<OnnxTypeRow, 27>& onnx_type_rows() {
  using enum DType;
  static const std::array<OnnxTypeRow, 27> table{{
      {"undefined", {}},
      {"float32", float32, 32},
      {"uint8", uint8, 8, sim::IntType{8, false}},
      {"int8", int8, 8, sim::IntType{8, true}},
      {"uint16", uint16, 16, sim::IntType{16, false}},
      {"int16", int16, 16, sim::IntType{16, true}},
      {"int32", int32, 32, sim::IntType{32, true}},
      {"int64", int64, 64},
      {"string", {}},
      {"bool", uint8, 8},
      {"float16", float32, 16},
      {"float64", float32, 64},
      {"uint32", int64, 32, sim::IntType{32, false}},
      {"uint64", int64, 64},
      {"complex64", {}},
      {"complex128", {}},
      {"bfloat16", float32, 16},
      {"float8e4m3fn", {}},
      {"float8e4m3fnuz", {}},
      {"float8e5m2", {}},
      {"float8e5m2fnuz", {}},
      {"uint4", uint8, 4, sim::IntType{4, false}},
      {"int4", int8, 4, sim::IntType{4, true}},
      {"float4e2m1", {}},
      {"float8e8m0", {}},
      {"uint2", uint8, 2, sim::IntType{2, false}},
      {"int2", int8, 2, sim::IntType{2, true}},
  }};
  return table;
}

const OnnxTypeRow* onnx_type_row(OnnxType type) {
  const auto number = static_cast<size_t>(static_cast<int32_t>(type));
  return number < onnx_type_rows().size() ? &onnx_type_rows()[number] : nullptr;
}

}  // namespace

std::string to_string(OnnxType type) {
  if (const OnnxTypeRow* known = onnx_type_row(type)) return std::string(known->word);
  return "type " + std::to_string(static_cast<int32_t>(type));
}

std::optional<DType> storage_of(OnnxType type) {
  const OnnxTypeRow* known = onnx_type_row(type);
  return known == nullptr ? std::nullopt : known->storage;
}

std::optional<sim::IntType> code_type(OnnxType type) {
  const OnnxTypeRow* known = onnx_type_row(type);
  return known == nullptr ? std::nullopt : known->codes;
}

std::optional<OnnxType> onnx_type(sim::IntType type) {
  for (size_t number = 0; number < onnx_type_rows().size(); ++number) {
    if (onnx_type_rows()[number].codes == type) return static_cast<OnnxType>(number);
  }
  return {};
}

int detail::raw_bits(OnnxType type) {
  const OnnxTypeRow* known = onnx_type_row(type);
  return known == nullptr ? 0 : known->bits;
}

bool detail::is_known(OnnxType type) {
  return type != OnnxType::undefined && onnx_type_row(type) != nullptr;
}

}  // namespace facsim::backends
