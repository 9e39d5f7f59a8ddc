// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/core/parallel.h"
#include "sim/core/tensor.h"
#include "sim/ops/conv2d.h"

namespace facsim::fused::kernels {

/// float32 convolution over NHWC with weights OHWI (I = IC / groups), any window, zero padding.
/// Gradients have the same bits for any number of threads and any vector width: fixed image chunks,
/// a fixed order of fused multiply-adds per output.
///
/// x [N, IH, IW, IC], w [OC, KH, KW, IC/groups], y and dy [N, OH, OW, OC].
struct Conv2dShape {
  int64_t n = 1, ih = 1, iw = 1, ic = 1, oc = 1, groups = 1;
  sim::Window2d window{};
};

void conv2d_forward(const Conv2dShape& shape, const float* x, const float* w, float* y,
                    sim::ThreadPool* pool);
/// dx = conv transposed(dy, w); overwrites dx.
void conv2d_input_gradient(const Conv2dShape& shape, const float* dy, const float* w, float* dx,
                           sim::ThreadPool* pool);
/// dw = sum over images and pixels of x * dy; overwrites dw.
void conv2d_weight_gradient(const Conv2dShape& shape, const float* x, const float* dy, float* dw,
                            sim::ThreadPool* pool);

/// y [N, O] = x [N, I] w[O, I]^T and its gradients (Eigen inside).
void linear_forward(int64_t n, int64_t in, int64_t out, const float* x, const float* w, float* y,
                    sim::ThreadPool* pool);
void linear_input_gradient(int64_t n, int64_t in, int64_t out, const float* dy, const float* w,
                           float* dx, sim::ThreadPool* pool);
void linear_weight_gradient(int64_t n, int64_t in, int64_t out, const float* x, const float* dy,
                            float* dw, sim::ThreadPool* pool);

}  // namespace facsim::fused::kernels
