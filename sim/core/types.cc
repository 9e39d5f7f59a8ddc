// SPDX-License-Identifier: Apache-2.0
#include "sim/core/types.h"

namespace facsim {

std::string_view to_string(DType dtype) {
  switch (dtype) {
    case DType::int8:
      return "int8";
    case DType::uint8:
      return "uint8";
    case DType::int16:
      return "int16";
    case DType::uint16:
      return "uint16";
    case DType::int32:
      return "int32";
    case DType::int64:
      return "int64";
    case DType::float32:
      return "float32";
  }
  return "?";
}

namespace sim {

std::string to_string(IntType type) {
  return (type.is_signed ? "int" : "uint") + std::to_string(type.bits);
}

std::optional<IntType> int_type_from_string(std::string_view word) {
  const bool is_signed = !word.starts_with('u');
  if (!is_signed) word.remove_prefix(1);
  if (!word.starts_with("int") || word.size() > 5) return std::nullopt;
  int bits = 0;
  for (const char c : word.substr(3)) {
    if (c < '0' || c > '9' || (bits == 0 && c == '0')) return std::nullopt;
    bits = bits * 10 + (c - '0');
  }
  if (bits < 1 || bits > (is_signed ? 64 : 63)) return std::nullopt;
  return IntType{bits, is_signed};
}

}  // namespace sim
}  // namespace facsim
