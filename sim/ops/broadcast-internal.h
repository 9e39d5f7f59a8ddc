// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/core/shape.h"
#include "sim/ops/sources.h"

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

/// The elements of both operands that meet in element `flat_index` of the output.
std::vector<SourceElement> broadcast_sources(std::span<const Shape> operands, const Shape& output,
                                             int64_t flat_index);

/// The flat order of an output as runs in which each operand stands still or moves on by one
/// element: what an elementwise loop can vectorize.
class BroadcastRuns {
 public:
  BroadcastRuns(const Shape& lhs, const Shape& rhs, const Shape& output);

  /// Calls body(first, lhs, lhs_stride, rhs, rhs_stride, count) for runs that cover output elements
  /// [begin, end) in order: element first + i is lhs + i * lhs_stride with rhs + i * rhs_stride,
  /// strides 0 or 1.
  template <class Body>
  void for_each(int64_t begin, int64_t end, const Body& body) const {
    const Axis& inner = axes_.back();
    for (int64_t first = begin; first < end;) {
      const int64_t column = first % inner.extent;
      int64_t row = first / inner.extent, lhs = column * inner.lhs, rhs = column * inner.rhs;
      for (size_t axis = axes_.size() - 1; axis-- > 0; row /= axes_[axis].extent) {
        lhs += row % axes_[axis].extent * axes_[axis].lhs;
        rhs += row % axes_[axis].extent * axes_[axis].rhs;
      }
      const int64_t rest = inner.extent - column;
      const int64_t count = rest < end - first ? rest : end - first;
      body(first, lhs, inner.lhs, rhs, inner.rhs, count);
      first += count;
    }
  }

 private:
  struct Axis {
    int64_t extent, lhs, rhs;
  };
  std::vector<Axis> axes_;
};

}  // namespace facsim::sim::detail
