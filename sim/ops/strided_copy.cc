// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/strided_copy-internal.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "sim/core/check.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim::detail {

namespace {

/// Without extents of 1, and with axes that continue each other in both arrays made one.
std::vector<StridedAxis> merged(const std::vector<StridedAxis>& axes) {
  std::vector<StridedAxis> out;
  for (const StridedAxis& axis : axes) {
    if (axis.extent == 1) continue;
    if (!out.empty() && out.back().from == axis.extent * axis.from &&
        out.back().to == axis.extent * axis.to) {
      out.back() = {out.back().extent * axis.extent, axis.from, axis.to};
    } else {
      out.push_back(axis);
    }
  }
  return out;
}

template <class T>
void copy_line(const StridedAxis& line, const T* from, T* to) {
  if (line.from == 1 && line.to == 1) {
    std::memcpy(to, from, static_cast<size_t>(line.extent) * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < line.extent; ++i) to[i * line.to] = from[i * line.from];
}

/// A plane whose source runs along `a` and whose target runs along `b`: in tiles, so that the cache
/// lines of both sides are used whole.
template <class T>
void copy_plane(const StridedAxis& a, const StridedAxis& b, const T* from, T* to) {
  constexpr int64_t kTile = 16;
  for (int64_t i0 = 0; i0 < a.extent; i0 += kTile) {
    const int64_t i1 = std::min(a.extent, i0 + kTile);
    for (int64_t j0 = 0; j0 < b.extent; j0 += kTile) {
      const int64_t j1 = std::min(b.extent, j0 + kTile);
      for (int64_t i = i0; i < i1; ++i) {
        for (int64_t j = j0; j < j1; ++j) to[i * a.to + j * b.to] = from[i * a.from + j * b.from];
      }
    }
  }
}

struct Offsets {
  int64_t from = 0, to = 0;
};

Offsets offsets_at(const std::vector<StridedAxis>& axes, int64_t index) {
  Offsets at;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    at.from += index % axis->extent * axis->from;
    at.to += index % axis->extent * axis->to;
    index /= axis->extent;
  }
  return at;
}

template <class T>
void copy_elements(ThreadPool* pool, std::vector<StridedAxis> axes, const T* from, T* to) {
  const StridedAxis line = axes.empty() ? StridedAxis{1, 1, 1} : axes.back();
  if (!axes.empty()) axes.pop_back();
  StridedAxis plane{1, 0, 0};
  const auto along_source = std::find_if(axes.begin(), axes.end(),
                                         [](const StridedAxis& axis) { return axis.from == 1; });
  if (line.from != 1 && along_source != axes.end()) {
    plane = *along_source;
    axes.erase(along_source);
  }
  int64_t outer = 1;
  for (const StridedAxis& axis : axes) outer *= axis.extent;
  const int64_t block = std::max<int64_t>(1, kElementBlock / (line.extent * plane.extent));
  for_blocks(pool, outer, block, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Offsets at = offsets_at(axes, i);
      if (plane.extent == 1) {
        copy_line(line, from + at.from, to + at.to);
      } else {
        copy_plane(plane, line, from + at.from, to + at.to);
      }
    }
    return Events{};
  });
}

}  // namespace

void strided_copy(ThreadPool* pool, size_t element, std::vector<StridedAxis> axes, const void* from,
                  void* to) {
  for (const StridedAxis& axis : axes) {
    if (axis.extent == 0) return;
  }
  axes = merged(axes);
  const auto copy = [&]<class T>(T) {
    copy_elements(pool, std::move(axes), static_cast<const T*>(from), static_cast<T*>(to));
  };
  switch (element) {
    case 1:
      return copy(uint8_t{});
    case 2:
      return copy(uint16_t{});
    case 4:
      return copy(uint32_t{});
    default:
      FACSIM_CHECK(element == 8);
      return copy(uint64_t{});
  }
}

std::vector<int64_t> strides_of(const Shape& shape) {
  std::vector<int64_t> strides(static_cast<size_t>(shape.rank()));
  int64_t stride = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<size_t>(axis)] = stride;
    stride *= shape[axis];
  }
  return strides;
}

}  // namespace facsim::sim::detail
