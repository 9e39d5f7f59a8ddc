// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/tflite/tflite_node-internal.h"

namespace facsim::backends::detail {

/// Indices begin, begin + stride, … before end of one axis.
struct TfliteCut {
  int64_t begin = 0, end = 0, stride = 1;
};

/// What SLICE (inputs begin, size) takes of each axis of a tensor of this shape.
std::vector<TfliteCut> tflite_slice_cuts(const TfliteNode& node, const Shape& shape);

/// What STRIDED_SLICE (inputs begin, end, strides) takes; negative indices count from the end, and
/// indices outside are moved to the nearest edge (TFLite internal/strided_slice_logic.h).
std::vector<TfliteCut> tflite_strided_cuts(const TfliteNode& node, const Shape& shape);

}  // namespace facsim::backends::detail
