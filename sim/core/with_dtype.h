// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/core/check.h"
#include "sim/core/types.h"

namespace facsim {

/// f.operator()<T>() with the C++ type of an integer dtype (float32: CHECK).
template <class F>
decltype(auto) with_integer(DType dtype, F&& f) {
  switch (dtype) {
    case DType::int8:
      return f.template operator()<int8_t>();
    case DType::uint8:
      return f.template operator()<uint8_t>();
    case DType::int16:
      return f.template operator()<int16_t>();
    case DType::uint16:
      return f.template operator()<uint16_t>();
    case DType::int32:
      return f.template operator()<int32_t>();
    case DType::int64:
    case DType::float32:
      break;
  }
  FACSIM_CHECK(dtype == DType::int64);
  return f.template operator()<int64_t>();
}

/// As with_integer, float32 included.
template <class F>
decltype(auto) with_dtype(DType dtype, F&& f) {
  if (dtype == DType::float32) return f.template operator()<float>();
  return with_integer(dtype, f);
}

}  // namespace facsim
