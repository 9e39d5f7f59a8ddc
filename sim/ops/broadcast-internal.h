// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "sim/core/shape.h"

namespace facsim::sim::detail {

/// numpy's broadcast of two shapes: aligned at the last axis, an extent of 1 stretches. Error
/// shape_mismatch.
Shape broadcast(std::string_view kind, const Shape& lhs, const Shape& rhs);

/// Flat index into `operand` of each element of a shape it broadcasts to.
class BroadcastIndex {
 public:
  BroadcastIndex(const Shape& operand, const Shape& output);
  /// True if the index is the output's own.
  bool is_identity() const { return identity_; }
  int64_t operator()(int64_t flat_index) const {
    if (identity_) return flat_index;
    int64_t index = 0;
    for (int axis = rank_ - 1; axis >= 0; --axis) {
      const auto i = static_cast<size_t>(axis);
      index += flat_index % extents_[i] * strides_[i];
      flat_index /= extents_[i];
    }
    return index;
  }

 private:
  static constexpr int kMaxRank = 8;
  int rank_ = 0;
  bool identity_ = false;
  std::array<int64_t, kMaxRank> extents_{}, strides_{};
};

}  // namespace facsim::sim::detail
