// SPDX-License-Identifier: Apache-2.0
#include "sim/core/shape.h"

#include "sim/core/error.h"

namespace facsim {

namespace {
constexpr int64_t kMaxElements = int64_t{1} << 40;
}

int64_t Shape::numel() const {
  int64_t n = 1;
  bool has_zero = false;
  for (const int64_t extent : extents_) {
    if (extent < 0) {
      throw Error({ErrorCode::bad_value, "shape " + to_string(*this), "negative extent",
                   "extents >= 0", ""});
    }
    has_zero |= extent == 0;
  }
  if (has_zero) return 0;
  for (const int64_t extent : extents_) {
    if (extent > kMaxElements / n) {
      throw Error({ErrorCode::bad_value, "shape " + to_string(*this), "too many elements",
                   "at most 2^40 elements", ""});
    }
    n *= extent;
  }
  return n;
}

std::string to_string(const Shape& shape) {
  std::string out = "(";
  for (int i = 0; i < shape.rank(); ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(shape[i]);
  }
  return out + (shape.rank() == 1 ? ",)" : ")");
}

}  // namespace facsim
