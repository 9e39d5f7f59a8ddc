// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/recurrent-internal.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "sim/core/error.h"

namespace facsim::sim::detail {

namespace {

void check_dtype_among(std::string_view kind, std::string_view role, DType found,
                       std::initializer_list<IntType> types) {
  std::string names;
  for (const IntType type : types) {
    if (found == type.storage()) return;
    names += (names.empty() ? "" : " or ") + to_string(type);
  }
  throw Error({ErrorCode::bad_value, fmt::format("{} {}", kind, role),
               fmt::format("dtype {}", to_string(found)), names, ""});
}

}  // namespace

void check_matrix(std::string_view kind, std::string_view role, const Tensor& matrix,
                  std::initializer_list<IntType> types) {
  const Shape& shape = matrix.shape();
  if (shape.rank() != 2 || shape[0] < 1 || shape[1] < 1) {
    throw Error({ErrorCode::shape_mismatch, fmt::format("{} {}", kind, role), to_string(shape),
                 "a matrix with at least one row and column", ""});
  }
  check_dtype_among(kind, role, matrix.dtype(), types);
}

void check_vector(std::string_view kind, std::string_view role, const Tensor& vector, int64_t count,
                  std::initializer_list<IntType> types) {
  if (vector.empty()) return;
  if (vector.shape() != Shape{count}) {
    throw Error({ErrorCode::shape_mismatch, fmt::format("{} {}", kind, role),
                 to_string(vector.shape()), to_string(Shape{count}), ""});
  }
  check_dtype_among(kind, role, vector.dtype(), types);
}

std::vector<int32_t> widened(const Tensor& codes) {
  return centred_codes(codes, 0, codes.numel(), 0);
}

std::vector<int32_t> centred_codes(const Tensor& codes, int64_t begin, int64_t count,
                                   int64_t zero_point) {
  std::vector<int32_t> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    values[static_cast<size_t>(i)] = static_cast<int32_t>(codes.int_at(begin + i) - zero_point);
  }
  return values;
}

}  // namespace facsim::sim::detail
