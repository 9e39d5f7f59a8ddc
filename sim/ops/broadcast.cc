// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/broadcast-internal.h"

#include <algorithm>
#include <string>
#include <vector>

#include "sim/core/check.h"
#include "sim/core/error.h"

namespace facsim::sim::detail {

Shape broadcast(std::string_view kind, const Shape& lhs, const Shape& rhs) {
  const int rank = std::max(lhs.rank(), rhs.rank());
  const auto extent = [rank](const Shape& shape, int axis) {
    const int own = axis - (rank - shape.rank());
    return own < 0 ? 1 : shape[own];
  };
  std::vector<int64_t> out;
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t a = extent(lhs, axis), b = extent(rhs, axis);
    if (rank > 8 || (a != b && a != 1 && b != 1)) {
      throw Error({ErrorCode::shape_mismatch, std::string(kind),
                   "input shapes " + to_string(lhs) + " and " + to_string(rhs),
                   "equal shapes, or extents of 1 to broadcast, up to 8 axes", ""});
    }
    out.push_back(a == 1 ? b : a);
  }
  return Shape(std::move(out));
}

BroadcastIndex::BroadcastIndex(const Shape& operand, const Shape& output)
    : rank_(output.rank()), identity_(operand.numel() == output.numel()) {
  FACSIM_CHECK(rank_ <= kMaxRank && operand.rank() <= rank_);
  int64_t stride = 1;
  for (int axis = rank_ - 1; axis >= 0; --axis) {
    const int own = axis - (rank_ - operand.rank());
    const int64_t extent = own < 0 ? 1 : operand[own];
    const auto i = static_cast<size_t>(axis);
    extents_[i] = output[axis];
    strides_[i] = extent == 1 ? 0 : stride;
    stride *= extent;
  }
}

std::vector<SourceElement> broadcast_sources(std::span<const Shape> operands, const Shape& output,
                                             int64_t flat_index) {
  std::vector<SourceElement> sources;
  for (const Shape& operand : operands) {
    sources.push_back(
        {static_cast<int>(sources.size()), BroadcastIndex(operand, output)(flat_index)});
  }
  return sources;
}

BroadcastRuns::BroadcastRuns(const Shape& lhs, const Shape& rhs, const Shape& output) {
  FACSIM_CHECK(lhs.rank() <= output.rank() && rhs.rank() <= output.rank());
  int64_t lhs_stride = 1, rhs_stride = 1;
  const auto own_extent = [&](const Shape& shape, int axis) {
    const int own = axis - (output.rank() - shape.rank());
    return own < 0 ? 1 : shape[own];
  };
  std::vector<Axis> inner_first;
  for (int axis = output.rank() - 1; axis >= 0; --axis) {
    if (output[axis] == 1) continue;
    const int64_t l = own_extent(lhs, axis), r = own_extent(rhs, axis);
    const Axis next{output[axis], l == 1 ? 0 : lhs_stride, r == 1 ? 0 : rhs_stride};
    lhs_stride *= l;
    rhs_stride *= r;
    Axis* last = inner_first.empty() ? nullptr : &inner_first.back();
    if (last != nullptr && next.lhs == last->lhs * last->extent &&
        next.rhs == last->rhs * last->extent) {
      last->extent *= next.extent;
    } else {
      inner_first.push_back(next);
    }
  }
  if (inner_first.empty()) inner_first.push_back({1, 0, 0});
  axes_.assign(inner_first.rbegin(), inner_first.rend());
}

}  // namespace facsim::sim::detail
