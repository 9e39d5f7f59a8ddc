// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/kernels/conv2d_f32.h"
#include "fused/kernels/direct_pass.h"

namespace facsim::fused::kernels {

/// A 1x1 convolution sees no images, only pixels: lays them out as rows wide enough for whole tiles
/// and short enough to share among threads. Depends on the number of pixels alone.
Conv2dShape with_wide_rows(const Conv2dShape& shape);

DirectPass forward_pass(const Conv2dShape& shape);         ///< x -> y
DirectPass input_gradient_pass(const Conv2dShape& shape);  ///< dy -> dx

}  // namespace facsim::fused::kernels
