// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/kernels/conv2d_f32.h"

namespace facsim::fused::kernels {

/// dw of conv2d_f32.h. The images are cut into chunks whose number depends on the shape alone; each
/// chunk sums its images in order, then the chunks are added in order.
void weight_gradient(const Conv2dShape& shape, const float* x, const float* dy, float* dw,
                     sim::ThreadPool* pool);

}  // namespace facsim::fused::kernels
