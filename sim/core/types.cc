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

}  // namespace sim
}  // namespace facsim
