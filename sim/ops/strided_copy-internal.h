// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/core/parallel.h"
#include "sim/core/shape.h"

namespace facsim::sim::detail {

/// One axis of a copy between two strided arrays; strides count elements and may be negative.
struct StridedAxis {
  int64_t extent = 1;
  int64_t from = 0, to = 0;
};

/// to[sum i * axis.to] = from[sum i * axis.from] for every index. `element` is 1, 2, 4 or 8 bytes.
/// Contiguous runs are copied whole; where source and target run along different axes, in tiles.
/// Rows go to several threads.
void strided_copy(ThreadPool* pool, size_t element, std::vector<StridedAxis> axes, const void* from,
                  void* to);

/// Elements from one index of an axis to the next, per axis.
std::vector<int64_t> strides_of(const Shape& shape);

}  // namespace facsim::sim::detail
