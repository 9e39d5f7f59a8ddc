// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "sim/core/tensor.h"

namespace facsim::fused {

/// Pads [N, H, W, C] float32 by `padding` (h, w) on each side with its mirror image, the edge not
/// repeated: row -1 is row 1. padding < H, W (PyTorch's condition; Error shape_mismatch).
Tensor reflect_pad(const Tensor& x, std::array<int64_t, 2> padding);
/// Its gradient: each padded element's gradient is added to its source. `x` is the unpadded shape.
Tensor reflect_pad_gradient(const Tensor& dpadded, const Shape& x, std::array<int64_t, 2> padding);

}  // namespace facsim::fused
