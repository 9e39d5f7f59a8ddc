// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/conv2d_f32.h"

#include "fused/kernels/conv2d_plain.h"

namespace facsim::fused::kernels {

void conv2d_forward(const Conv2dShape& shape, const float* x, const float* w, float* y,
                    sim::ThreadPool* pool) {
  plain_forward(shape, x, w, y, pool);
}

void conv2d_input_gradient(const Conv2dShape& shape, const float* dy, const float* w, float* dx,
                           sim::ThreadPool* pool) {
  plain_input_gradient(shape, dy, w, dx, pool);
}

void conv2d_weight_gradient(const Conv2dShape& shape, const float* x, const float* dy, float* dw,
                            sim::ThreadPool* pool) {
  plain_weight_gradient(shape, x, dy, dw, pool);
}

}  // namespace facsim::fused::kernels
