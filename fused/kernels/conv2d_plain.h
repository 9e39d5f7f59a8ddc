// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/kernels/conv2d_f32.h"

namespace facsim::fused::kernels {

/// The three passes of conv2d_f32.h as plain loops, for any geometry. Each output is one chain of
/// multiply-adds in a fixed order; parallel over images (forward, input gradient) or weights.
void plain_forward(const Conv2dShape& shape, const float* x, const float* w, float* y,
                   sim::ThreadPool* pool);
void plain_input_gradient(const Conv2dShape& shape, const float* dy, const float* w, float* dx,
                          sim::ThreadPool* pool);
void plain_weight_gradient(const Conv2dShape& shape, const float* x, const float* dy, float* dw,
                           sim::ThreadPool* pool);

}  // namespace facsim::fused::kernels
